import type { Change, EndReason, Session } from '../api/types.ts';
import { i18n } from '../i18n/i18n.ts';

/** The start of a session's id: enough to tell sessions apart, short enough for a table. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** Seconds until a session's idle TTL passes, given the server's "now" in ms. */
export function idleSecondsLeft(session: Session, now: number): number {
  const deadline = Date.parse(session.last_seen_at) + session.idle_ttl_seconds * 1000;
  // A clock that is a little behind must not show more than a whole TTL.
  return Math.min(session.idle_ttl_seconds, Math.max(0, (deadline - now) / 1000));
}

/** An end reason in words; a reason this panel does not know yet is shown as it came. */
export function endReasonText(reason: EndReason | null | undefined): string {
  return i18n.t(`session:endReasons.${reason ?? 'unknown'}`, { defaultValue: reason ?? '' });
}

/** Whether a session came to its end the way it was meant to. */
export function endedInOrder(reason: EndReason | null | undefined): boolean {
  return reason === 'deleted' || reason === 'expired' || reason === 'shutdown';
}

/** What happened to a session, in words; something this panel does not know yet is shown as it came. */
export function changeText(change: Change): string {
  return i18n.t(`session:changes.${change}`, { defaultValue: change });
}

/** How good the news is: which mark the entry gets. */
export function changeTone(change: Change): 'good' | 'bad' | 'plain' {
  if (change === 'ready') return 'good';
  return change === 'restarting' || change === 'start_url_failed' || change === 'forgotten'
    ? 'bad'
    : 'plain';
}

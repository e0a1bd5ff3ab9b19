import type { Change, Contradiction, EndReason, Session } from '../api/types.ts';
import { i18n } from '../i18n/i18n.ts';
import { clockText, countryText, spanText } from '../ui/format.ts';
import { systemText } from './identityText.ts';

/** The start of a session's id: long enough to be unique, short enough for a table. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** Whether a session ends by itself when nobody uses it; one with a profile may have no idle TTL. */
export function endsWhenIdle({ idle_ttl_seconds: seconds }: Session): boolean {
  return seconds > 0;
}

/** Seconds until a session's idle TTL expires, given the server's time in ms; infinite if it has none. */
export function idleSecondsLeft(session: Session, now: number): number {
  if (!endsWhenIdle(session)) return Infinity;
  const deadline = Date.parse(session.last_seen_at) + session.idle_ttl_seconds * 1000;
  // A clock that is slightly behind must not show more than the whole TTL.
  return Math.min(session.idle_ttl_seconds, Math.max(0, (deadline - now) / 1000));
}

/** The days of a long idle TTL, else a clock. */
export function idleText(seconds: number): string {
  return seconds > 86_400 ? spanText(seconds) : clockText(seconds);
}

/** An end reason in the current language; a reason that this panel does not know is shown unchanged. */
export function endReasonText(reason: EndReason | null | undefined): string {
  return i18n.t(`session:endReasons.${reason ?? 'unknown'}`, { defaultValue: reason ?? '' });
}

/** Whether a session ended as intended. */
export function endedInOrder(reason: EndReason | null | undefined): boolean {
  return reason === 'deleted' || reason === 'expired' || reason === 'shutdown';
}

/** An event of a session in the current language; an event that this panel does not know is shown unchanged. */
export function changeText(change: Change): string {
  return i18n.t(`session:changes.${change}`, { defaultValue: change });
}

/** The tone of an event's mark in the history. */
export function changeTone(change: Change): 'good' | 'bad' | 'plain' {
  if (change === 'ready') return 'good';
  return change === 'restarting' || change === 'start_url_failed' || change === 'forgotten'
    ? 'bad'
    : 'plain';
}

/** The names of the fields of an identity in the list of facts. */
const FACTS = {
  locale: 'languages',
  timezone: 'timezone',
  geolocation: 'place',
  screen: 'size',
  fonts: 'fonts',
} as const;

function factText(against: string, fact: string): string {
  if (against === 'exit_country') return countryText(fact);
  return against === 'os' ? systemText(fact) : fact;
}

/** A part of an identity that does not fit, in the current language; one that this panel does not know is shown as it was sent. */
export function contradictionText({ field, value, against, fact, detail }: Contradiction): string {
  const name = Object.entries(FACTS).find(([known]) => known === field)?.[1];
  if (name === undefined) return detail;
  return i18n.t(`session:contradictions.${against}`, {
    defaultValue: detail,
    field: i18n.t(`session:facts.${name}`),
    value,
    fact: factText(against, fact),
  });
}

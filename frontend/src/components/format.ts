import type { EndReason, Session } from '../api/types.ts';

/** The start of a session's id: enough to tell sessions apart, short enough for a table. */
export function shortId(id: string): string {
  return id.slice(0, 8);
}

/** Seconds as a clock: `4:07`, `1:00:00`. Never below zero. */
export function clockText(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  const hours = Math.floor(whole / 3600);
  const [minutes = 0, rest = 0] = parts;
  const tail = String(rest).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}

/** Seconds until a session's idle TTL passes, given the server's "now" in ms. */
export function idleSecondsLeft(session: Session, now: number): number {
  const deadline = Date.parse(session.last_seen_at) + session.idle_ttl_seconds * 1000;
  // A clock that is a little behind must not show more than a whole TTL.
  return Math.min(session.idle_ttl_seconds, Math.max(0, (deadline - now) / 1000));
}

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'narrow' });

/** How long ago something was: `12s ago`, `3min ago`, `now`. */
export function agoText(timestamp: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(timestamp)) / 1000));
  const [unit, size] = UNITS.find(([, size]) => seconds >= size) ?? ['second', 1];
  return relative.format(-Math.floor(seconds / size), unit);
}

/** How long something took: `42 s`, `12 min`, `3 h 5 min`. */
export function durationText(from: string, to: string): string {
  const seconds = Math.max(0, Math.round((Date.parse(to) - Date.parse(from)) / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A moment in the person's own time zone and notation. */
export function momentText(timestamp: string): string {
  return new Date(timestamp).toLocaleString();
}

const END_REASONS: Record<EndReason, string> = {
  deleted: 'Ended by request',
  expired: 'Idle TTL passed',
  crashed: 'Browser crashed',
  display_lost: 'Display lost',
  driver_lost: 'Driver lost',
  shutdown: 'Fleet shut down',
  launch_failed: 'Launch failed',
};

/** An end reason in words; a reason this panel does not know yet is shown as it came. */
export function endReasonText(reason: EndReason | null | undefined): string {
  if (!reason) return 'Unknown';
  return (END_REASONS as Record<string, string>)[reason] ?? reason;
}

/** Whether a session came to its end the way it was meant to. */
export function endedInOrder(reason: EndReason | null | undefined): boolean {
  return reason === 'deleted' || reason === 'expired' || reason === 'shutdown';
}

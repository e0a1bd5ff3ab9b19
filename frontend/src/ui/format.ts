import { i18n } from '../i18n/i18n.ts';
import { locale } from '../i18n/language.ts';

/** Seconds as a clock: `4:07`, `1:00:00`. Never below zero. */
export function clockText(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  const hours = Math.floor(whole / 3600);
  const [minutes = 0, rest = 0] = parts;
  const tail = String(rest).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}

const UNITS: [unit: string, seconds: number][] = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
];

/** Formatters by what they were made from: making one takes far longer than using it. */
const formatters = new Map<string, unknown>();

function formatter<T>(key: string, make: (locale: string) => T): T {
  const full = `${locale()} ${key}`;
  const known = formatters.get(full) as T | undefined;
  if (known !== undefined) return known;
  const made = make(locale());
  formatters.set(full, made);
  return made;
}

/** A number with one digit after the point at most. */
export function numberText(value: number): string {
  return formatter(
    'number',
    (tag) => new Intl.NumberFormat(tag, { maximumFractionDigits: 1 }),
  ).format(value);
}

/**
 * A number with its unit.
 *
 * @param unit as `Intl.NumberFormat` names them: `millisecond`, `kilobyte-per-second`, …
 * @param digits how many digits follow the point at most
 * @param fixed whether so many follow it always, for what is counting
 */
export function unitText(
  value: number,
  unit: string,
  unitDisplay: 'short' | 'narrow' = 'short',
  digits = 0,
  fixed = false,
): string {
  const options = {
    style: 'unit',
    unit,
    unitDisplay,
    maximumFractionDigits: digits,
    ...(fixed && { minimumFractionDigits: digits }),
  } as const;
  return formatter(
    `${unit} ${unitDisplay} ${digits} ${String(fixed)}`,
    (tag) => new Intl.NumberFormat(tag, options),
  ).format(value);
}

/** Seconds in their two largest units, beyond a minute without seconds: `42s`, `12m`, `3h 5m`, `2d 1h`. */
export function spanText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const found = UNITS.findIndex(([, size]) => whole >= size);
  const first = found === -1 ? UNITS.length - 1 : found;
  let rest = whole;
  const parts: string[] = [];
  for (const [unit, size] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || parts.length === 0) parts.push(unitText(count, unit, 'narrow'));
    if (unit === 'minute') break;
  }
  return parts.join(' ');
}

/** How long ago something was: `12s ago`, `3m ago`, `now`. */
export function agoText(timestamp: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(timestamp)) / 1000));
  const found = UNITS.find(([, size]) => seconds >= size);
  if (!found) return i18n.t('sessions:now');
  // Intl's own words for this are too long for a column in Russian, or a number below zero.
  const [unit, size] = found;
  return i18n.t('sessions:ago', { time: unitText(Math.floor(seconds / size), unit, 'narrow') });
}

/** Seconds that a person set, in their largest whole unit: `5 min`, `90 sec`. */
export function wholeUnitText(seconds: number): string {
  const [unit, size] = UNITS.find(([, size]) => seconds > 0 && seconds % size === 0) ?? [
    'second',
    1,
  ];
  return unitText(seconds / size, unit);
}

/** How long something took that is waited for, in seconds: to the millisecond below ten of them, to the tenth above. */
export function tookText(ms: number): string {
  return unitText(ms / 1000, 'second', 'short', ms < 10_000 ? 3 : 1, true);
}

/** How long something is taking so far, in seconds, to the tenth. */
export function elapsedText(ms: number): string {
  return unitText(ms / 1000, 'second', 'short', 1, true);
}

/** How long something took, like {@link spanText}. */
export function durationText(from: string, to: string): string {
  return spanText((Date.parse(to) - Date.parse(from)) / 1000);
}

/** A moment in the person's own time zone and notation. */
export function momentText(timestamp: string): string {
  return formatter(
    'moment',
    (tag) => new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'medium' }),
  ).format(new Date(timestamp));
}

/** A moment's time of day, likewise. */
export function timeOfDayText(
  moment: string | number,
  timeStyle: 'short' | 'medium' = 'medium',
): string {
  return formatter(
    `time ${timeStyle}`,
    (tag) => new Intl.DateTimeFormat(tag, { timeStyle }),
  ).format(new Date(moment));
}

import { i18n } from '../i18n/i18n.ts';
import { locale } from '../i18n/language.ts';

/** Seconds as a clock: `4:07`, `1:00:00`. Never negative. */
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

/** Cached formatters by locale and options: creating one is far slower than using it. */
const formatters = new Map<string, unknown>();

function formatter<T>(key: string, make: (locale: string) => T): T {
  const full = `${locale()} ${key}`;
  const known = formatters.get(full) as T | undefined;
  if (known !== undefined) return known;
  const made = make(locale());
  formatters.set(full, made);
  return made;
}

/** A number with at most one decimal. */
export function numberText(value: number): string {
  return formatter(
    'number',
    (tag) => new Intl.NumberFormat(tag, { maximumFractionDigits: 1 }),
  ).format(value);
}

/**
 * A number with its unit.
 *
 * @param unit a unit of `Intl.NumberFormat`: `millisecond`, `kilobyte-per-second`, …
 * @param digits the maximum number of decimals
 * @param fixed whether there are always that many decimals, for values that change while shown
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

const BYTE_UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
/** The factor between two of {@link BYTE_UNITS}. */
const BYTE_STEP = 1000;

/** A number of bytes in the largest unit of which there is one. */
function inByteUnit(bytes: number): { value: number; unit: (typeof BYTE_UNITS)[number] } {
  let [value, step] = [bytes, 0];
  // What would be rounded to 1,000 belongs to the next unit.
  while (value >= BYTE_STEP - 0.05 && step < BYTE_UNITS.length - 1) {
    value /= BYTE_STEP;
    step += 1;
  }
  return { value, unit: BYTE_UNITS[step] ?? 'byte' };
}

/** An amount of bytes: `0 byte`, `12.3 kB`, `4 GB`. */
export function bytesText(bytes: number): string {
  const { value, unit } = inByteUnit(bytes);
  return unitText(value, unit, 'short', 1);
}

/** Bytes per second: `12.3 kB/s`. */
export function byteRateText(bytesPerSecond: number): string {
  const { value, unit } = inByteUnit(bytesPerSecond);
  return unitText(value, `${unit}-per-second`, 'short', 1);
}

/** Seconds in their two largest units, without seconds from one minute on: `42s`, `12m`, `3h 5m`, `2d 1h`. */
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
  // Intl.RelativeTimeFormat's texts are too long for a column in Russian.
  const [unit, size] = found;
  return i18n.t('sessions:ago', { time: unitText(Math.floor(seconds / size), unit, 'narrow') });
}

/** Seconds in their largest whole unit: `5 min`, `90 sec`. */
export function wholeUnitText(seconds: number): string {
  const [unit, size] = UNITS.find(([, size]) => seconds > 0 && seconds % size === 0) ?? [
    'second',
    1,
  ];
  return unitText(seconds / size, unit);
}

/** A finished duration in seconds: with milliseconds below ten seconds, with tenths above. */
export function tookText(ms: number): string {
  return unitText(ms / 1000, 'second', 'short', ms < 10_000 ? 3 : 1, true);
}

/** A running duration in seconds, with tenths. */
export function elapsedText(ms: number): string {
  return unitText(ms / 1000, 'second', 'short', 1, true);
}

const COUNTRY_CODE = /^[A-Z]{2}$/;

/** A country in the current language, by its code of ISO 3166-1; what is no such code is returned unchanged. */
export function countryText(code: string): string {
  if (!COUNTRY_CODE.test(code)) return code;
  const names = formatter('country', (tag) => new Intl.DisplayNames(tag, { type: 'region' }));
  return names.of(code) ?? code;
}

/** The time between two timestamps, like {@link spanText}. */
export function durationText(from: string, to: string): string {
  return spanText((Date.parse(to) - Date.parse(from)) / 1000);
}

/** A time in the user's time zone and format. */
export function momentText(timestamp: string): string {
  return formatter(
    'moment',
    (tag) => new Intl.DateTimeFormat(tag, { dateStyle: 'medium', timeStyle: 'medium' }),
  ).format(new Date(timestamp));
}

/** The time of day in the user's time zone and format. */
export function timeOfDayText(
  moment: string | number,
  timeStyle: 'short' | 'medium' = 'medium',
): string {
  return formatter(
    `time ${timeStyle}`,
    (tag) => new Intl.DateTimeFormat(tag, { timeStyle }),
  ).format(new Date(moment));
}

import type { Language } from '../i18n/language.ts';

/** What a chart's values are. */
export type Unit = 'count' | 'seconds' | 'bytesPerSecond';

const BYTE_UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte'] as const;
/** What one step of {@link BYTE_UNITS} is. */
const STEP = 1000;

/** A value in its unit, in the notation of a language: `3`, `340 ms`, `12 kB/s`. */
export function valueText(value: number, unit: Unit, language: Language): string {
  switch (unit) {
    case 'count':
      return numberText(value, language);
    case 'seconds':
      return value < 1
        ? unitText(Math.round(value * 1000), 'millisecond', language)
        : unitText(value, 'second', language);
    case 'bytesPerSecond': {
      const power = value < STEP ? 0 : Math.floor(Math.log(value) / Math.log(STEP));
      const step = Math.min(power, BYTE_UNITS.length - 1);
      const name = BYTE_UNITS[step] ?? 'byte';
      return unitText(value / STEP ** step, `${name}-per-second`, language);
    }
  }
}

function numberText(value: number, language: Language): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(value);
}

function unitText(value: number, unit: string, language: Language): string {
  const format = { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: 1 } as const;
  return new Intl.NumberFormat(language, format).format(value);
}

const SPANS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

/** How long something takes or has been, in its two largest units: `3 days, 4 hr`. */
export function spanText(seconds: number, language: Language): string {
  const whole = Math.max(0, Math.floor(seconds));
  const found = SPANS.findIndex(([, size]) => whole >= size);
  const first = found === -1 ? SPANS.length - 1 : found;
  let rest = whole;
  const parts: string[] = [];
  for (const [unit, size] of SPANS.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || parts.length === 0) parts.push(unitText(count, unit, language));
    // A minute and more is not looked at by the second.
    if (unit === 'minute') break;
  }
  return parts.join(' ');
}

/** A time of day, with seconds where they matter. */
export function timeText(ms: number, language: Language, seconds = false): string {
  const format = new Intl.DateTimeFormat(language, {
    hour: '2-digit',
    minute: '2-digit',
    ...(seconds && { second: '2-digit' }),
  });
  return format.format(ms);
}

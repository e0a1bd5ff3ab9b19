import { isClassicPool } from '../live/poolNames.ts';
import type { TFunction } from 'i18next';

import type { texts } from '../i18n/texts.ts';
import { byteRateText, numberText, unitText } from '../ui/format.ts';

/** The unit of a chart's values. */
export type Unit = 'count' | 'seconds' | 'bytesPerSecond';

/** A value in its unit: `3`, `340 ms`, `12.3 kB/s`. */
export function valueText(value: number, unit: Unit): string {
  switch (unit) {
    case 'count':
      return numberText(value);
    case 'seconds':
      return value < 1
        ? unitText(Math.round(value * 1000), 'millisecond')
        : unitText(value, 'second', 'short', 1);
    case 'bytesPerSecond':
      return byteRateText(value);
  }
}

type KnownLine = keyof (typeof texts)['en']['fleet']['charts']['lines'];

/** The title of a line; an end reason that this panel does not know is shown unchanged. */
export function lineText(t: TFunction<'fleet'>, name: string): string {
  const pool = /^(pool|poolTarget) (.+)$/.exec(name);
  if (pool?.[2] !== undefined) {
    const of = isClassicPool(pool[2]) ? t(`charts.lines.${pool[2]}`) : pool[2];
    return pool[1] === 'pool' ? of : t('charts.poolTarget', { pool: of });
  }
  return t(`charts.lines.${name as KnownLine}`, { defaultValue: name });
}

import type { TFunction } from 'i18next';

import type { texts } from '../i18n/texts.ts';

type KnownLine = keyof (typeof texts)['en']['fleet']['charts']['lines'];

/** A line's name in words; an end reason that this panel does not know is shown as it came. */
export function lineText(t: TFunction<'fleet'>, name: string): string {
  return t(`charts.lines.${name as KnownLine}`, { defaultValue: name });
}

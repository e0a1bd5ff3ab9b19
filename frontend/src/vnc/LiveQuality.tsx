import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { unitText } from '../ui/format.ts';
import type { LiveQuality as Quality } from './useLiveQuality.ts';

/** Round trips up to the first are not noticeable; above the second they disturb. */
const [GOOD_MS, BAD_MS] = [150, 500];

function toneOf(roundTripMs: number | null): 'good' | 'busy' | 'bad' {
  if (roundTripMs === null || roundTripMs > BAD_MS) return 'bad';
  return roundTripMs > GOOD_MS ? 'busy' : 'good';
}

function rateText(bytesPerSecond: number): string {
  const kilobytes = bytesPerSecond / 1000;
  return kilobytes < 1000
    ? unitText(kilobytes, 'kilobyte-per-second')
    : unitText(kilobytes / 1000, 'megabyte-per-second', 'short', 1);
}

/** The quality of the live view's connection: round trip and data rate. */
export function LiveQuality({ quality }: { quality: Quality | null }): ReactNode {
  const { t } = useTranslation('live');
  if (!quality) return null;
  const { roundTripMs, bytesPerSecond } = quality;
  const roundTrip =
    roundTripMs === null ? t('quality.noAnswer') : unitText(roundTripMs, 'millisecond');
  return (
    <p className={`live-quality ${toneOf(roundTripMs)}`} title={t('quality.explanation')}>
      <span className="dot" aria-hidden="true" />
      <span className="visually-hidden">{t('quality.roundTrip')} </span>
      {roundTrip}
      <span className="quiet"> · {rateText(bytesPerSecond)}</span>
    </p>
  );
}

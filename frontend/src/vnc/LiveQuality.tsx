import type { ReactNode } from 'react';

import type { LiveQuality as Quality } from './useLiveQuality.ts';

/** Below the first a person does not notice the way; above the second it is in the way. */
const [GOOD_MS, BAD_MS] = [150, 500];

const EXPLANATION =
  'Round trip: a request to the fleet’s API and its answer, every 3 s; the pictures come the same way. Rate: what the screen has sent since; a screen on which nothing moves sends nothing.';

function toneOf(roundTripMs: number | null): 'good' | 'busy' | 'bad' {
  if (roundTripMs === null || roundTripMs > BAD_MS) return 'bad';
  return roundTripMs > GOOD_MS ? 'busy' : 'good';
}

function rateText(bytesPerSecond: number): string {
  const kilobytes = bytesPerSecond / 1000;
  return kilobytes < 1000
    ? `${Math.round(kilobytes)} kB/s`
    : `${(kilobytes / 1000).toFixed(1)} MB/s`;
}

/** How well the live view can be used: the round trip to the fleet, and how much the screen sends. */
export function LiveQuality({ quality }: { quality: Quality | null }): ReactNode {
  if (!quality) return null;
  const { roundTripMs, bytesPerSecond } = quality;
  return (
    <p className={`live-quality ${toneOf(roundTripMs)}`} title={EXPLANATION}>
      <span className="dot" aria-hidden="true" />
      <span className="visually-hidden">Round trip </span>
      {roundTripMs === null ? 'no answer' : `${Math.round(roundTripMs)} ms`}
      <span className="quiet"> · {rateText(bytesPerSecond)}</span>
    </p>
  );
}

import { useEffect, useState } from 'react';

import { measureRoundTrip } from '../api/client.ts';

/** How well a live view can be used at present. */
export interface LiveQuality {
  /** How long a small request to the API and its answer took; null if there was none. */
  roundTripMs: number | null;
  /** What the screen has sent since the last look. */
  bytesPerSecond: number;
}

/** Often enough to notice a bad connection, and too seldom to be one of its reasons. */
const MEASURE_INTERVAL_MS = 3000;

/**
 * Looks at the connection again and again while `connected`. VNC has no ping that every server answers, so the way to the
 * API stands for the way to the screen: it is the same one up to the panel's origin.
 *
 * @param received how many bytes have come from the screen so far; the same function at each rendering
 */
export function useLiveQuality(connected: boolean, received: () => number): LiveQuality | null {
  const [quality, setQuality] = useState<LiveQuality | null>(null);

  useEffect(() => {
    if (!connected) return;
    const stop = new AbortController();
    let last = { at: performance.now(), bytes: received() };
    const measure = async () => {
      const roundTripMs = await measureRoundTrip(stop.signal).catch(() => null);
      if (stop.signal.aborted) return;
      const now = { at: performance.now(), bytes: received() };
      const seconds = (now.at - last.at) / 1000;
      setQuality({ roundTripMs, bytesPerSecond: (now.bytes - last.bytes) / seconds });
      last = now;
    };
    const timer = window.setInterval(() => void measure(), MEASURE_INTERVAL_MS);
    return () => {
      stop.abort();
      window.clearInterval(timer);
      setQuality(null);
    };
  }, [connected, received]);

  return quality;
}

import { useEffect, useState } from 'react';

import { measureRoundTrip } from '../api/client.ts';

/** The current quality of a live view's connection. */
export interface LiveQuality {
  /** The round trip of a small API request; null if it failed. */
  roundTripMs: number | null;
  /** The bytes received per second since the previous measurement. */
  bytesPerSecond: number;
}

/** Frequent enough to notice a bad connection, without adding load to it. */
const MEASURE_INTERVAL_MS = 3000;

/**
 * Measures the connection periodically while `connected`. Not every VNC server answers pings, so an API
 * request is measured instead: it takes the same path up to the panel's origin.
 *
 * @param received returns the number of bytes received so far; must be a stable function
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

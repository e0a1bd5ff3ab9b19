import { useSyncExternalStore } from 'react';

import { toServerTime } from './serverClock.ts';

const TICK_MS = 1000;

const listeners = new Set<() => void>();
let timer: number | undefined;
let now = 0;

function tick(): void {
  now = Date.now();
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= window.setInterval(tick, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      window.clearInterval(timer);
      timer = undefined;
    }
  };
}

function getNow(): number {
  // Before the first subscription no tick keeps the value fresh. A second's grain, because React
  // asks more than once and has to get the same answer.
  if (timer === undefined) now = Math.floor(Date.now() / TICK_MS) * TICK_MS;
  return now;
}

/**
 * This machine's time in ms, anew every second. All countdowns share one timer, so they tick together
 * and a table of a hundred sessions costs one wake-up a second.
 */
export function useNow(): number {
  return useSyncExternalStore(subscribe, getNow);
}

/** Like {@link useNow}, on the server's clock: what the API's times are to be compared with. */
export function useServerNow(): number {
  return toServerTime(useNow());
}

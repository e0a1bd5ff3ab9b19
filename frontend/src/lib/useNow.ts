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
  // Without subscribers no timer updates the value. It is rounded to seconds because React reads it
  // repeatedly and has to get the same value.
  if (timer === undefined) now = Math.floor(Date.now() / TICK_MS) * TICK_MS;
  return now;
}

/**
 * The current time in ms, updated every second. All countdowns share one timer, so they tick together and a
 * table of a hundred sessions causes one wake-up per second.
 */
export function useNow(): number {
  return useSyncExternalStore(subscribe, getNow);
}

/** Like {@link useNow}, on the server's clock, for comparison with times from the API. */
export function useServerNow(): number {
  return toServerTime(useNow());
}

import { useCallback, useEffect, useSyncExternalStore } from 'react';

import { Preference } from '../lib/preference.ts';
import { useLiveFleet } from '../hooks/fleet.ts';
import { useStore } from '../lib/useStore.ts';
import { type FleetState, sessionKey } from '../live/fleetStore.ts';

/**
 * How long a pinned session must be missing before it is unpinned, in ms: a restarted control takes a moment
 * to learn its workers' sessions.
 */
export const UNPIN_AFTER_MS = 5000;

type Place = Parameters<typeof sessionKey>[0];

function isListOfTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** The keys of the pinned sessions, in the order in which they were pinned. */
export const pins = new Preference<readonly string[]>('pins', [], isListOfTexts);

/** Pins or unpins a session. */
export function togglePin(place: Place): void {
  const key = sessionKey(place);
  const others = pins.get().filter((pin) => pin !== key);
  pins.set(others.length < pins.get().length ? others : [...others, key]);
}

/** Whether a session is pinned. */
export function usePinned(place: Place): boolean {
  const key = sessionKey(place);
  return useSyncExternalStore(pins.subscribe, () => pins.get().includes(key));
}

/** The pins whose sessions have ended. The sessions of a silent worker are unknown, so they stay pinned. */
export function endedPins(
  pinned: readonly string[],
  { known, byKey, workers }: FleetState,
): string[] {
  if (!known) return [];
  const silent = workers.filter(({ healthy, stale }) => !healthy || stale);
  return pinned.filter(
    (pin) => !byKey.has(pin) && !silent.some(({ name }) => pin.startsWith(`${name}/`)),
  );
}

/** Unpins sessions that have ended, while the component is mounted. */
export function useUnpinEnded(): void {
  const { store } = useLiveFleet();
  const pinned = useStore(pins);
  // A string, so that an equal list causes no render.
  const lost = useSyncExternalStore(
    store.subscribe,
    useCallback(() => JSON.stringify(endedPins(pinned, store.get())), [pinned, store]),
  );
  useEffect(() => {
    const gone = JSON.parse(lost) as string[];
    if (gone.length === 0) return;
    const timer = window.setTimeout(() => {
      pins.set(pins.get().filter((pin) => !gone.includes(pin)));
    }, UNPIN_AFTER_MS);
    return () => {
      window.clearTimeout(timer);
    };
  }, [lost]);
}

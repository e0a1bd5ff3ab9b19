import { useCallback, useEffect, useSyncExternalStore } from 'react';

import { Preference } from '../lib/preference.ts';
import { useLiveFleet } from '../hooks/fleet.ts';
import { useStore } from '../lib/useStore.ts';
import { type FleetState, sessionKey } from '../live/fleetStore.ts';

/**
 * How long a pinned session may be unheard of before it is taken for ended, in ms: a control that starts anew needs a
 * moment to know its workers' sessions again.
 */
export const UNPIN_AFTER_MS = 5000;

type Place = Parameters<typeof sessionKey>[0];

function isListOfTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** The keys of the sessions that a person pinned, in the order of that. */
export const pins = new Preference<readonly string[]>('pins', [], isListOfTexts);

/** Pins a session, or unpins it. */
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

/** The pins whose sessions are no more. What a silent worker has is not known, so its sessions stay pinned. */
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

/** Has pins fall away whose sessions have ended, for as long as a component is there. */
export function useUnpinEnded(): void {
  const { store } = useLiveFleet();
  const pinned = useStore(pins);
  // As one text, so that nothing is rendered while it stays the same.
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

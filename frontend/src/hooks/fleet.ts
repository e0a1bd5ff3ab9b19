import { createContext, use, useSyncExternalStore } from 'react';

import { Feed, type Connection } from '../live/feed.ts';
import { FleetStore, sessionKey, type FleetState } from '../live/fleetStore.ts';
import { Launches, type Launch } from '../live/launches.ts';
import type { Session } from '../api/types.ts';
import { useStore } from '../lib/useStore.ts';

/** The panel's state of the fleet, and what keeps it current. */
export class LiveFleet {
  readonly store = new FleetStore();
  readonly feed = new Feed(this.store);
  readonly launches = new Launches(this.store, this.feed);
}

/** Provides the fleet: one for the panel, one for each test. */
export const FleetContext = createContext<LiveFleet>(new LiveFleet());

/** The fleet of the context. */
export function useLiveFleet(): LiveFleet {
  return use(FleetContext);
}

/** The current state of the fleet. */
export function useFleet(): FleetState {
  const { store } = useLiveFleet();
  return useSyncExternalStore(store.subscribe, store.get);
}

/**
 * A live session; undefined before it is known and after it has ended. Re-renders only when this session
 * changes.
 */
export function useLiveSession(place: Pick<Session, 'worker' | 'id'>): Session | undefined {
  const { store } = useLiveFleet();
  const key = sessionKey(place);
  return useSyncExternalStore(store.subscribe, () => store.get().byKey.get(key));
}

/** The Playwright version of a worker's browsers; null if it is unknown. */
export function usePlaywrightVersion(worker: string): string | null {
  const { store } = useLiveFleet();
  return useSyncExternalStore(store.subscribe, () => {
    const detail = store.get().workers.find(({ name }) => name === worker)?.detail;
    return detail && 'facts' in detail ? (detail.facts?.playwright ?? null) : null;
  });
}

/** The state of the connection to the API. */
export function useConnection(): Connection {
  return useStore(useLiveFleet().feed.connection);
}

/** The launches shown at present, the latest last. */
export function useLaunches(): readonly Launch[] {
  return useStore(useLiveFleet().launches.list);
}

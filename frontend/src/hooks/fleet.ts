import { createContext, use, useSyncExternalStore } from 'react';

import { Feed, type Connection } from '../live/feed.ts';
import { FleetStore, sessionKey, type FleetState } from '../live/fleetStore.ts';
import { Launches, type Launch } from '../live/launches.ts';
import type { Session } from '../api/types.ts';
import { useStore } from '../lib/useStore.ts';

/** The panel's state of the fleet and what keeps it up to date. */
export class LiveFleet {
  readonly store = new FleetStore();
  readonly feed = new Feed(this.store);
  readonly launches = new Launches(this.store, this.feed);
}

/** Gives the components below it their fleet: one for the panel, one for each test. */
export const FleetContext = createContext<LiveFleet>(new LiveFleet());

/** The fleet that this component shows. */
export function useLiveFleet(): LiveFleet {
  return use(FleetContext);
}

/** Everything that is known of the fleet. */
export function useFleet(): FleetState {
  const { store } = useLiveFleet();
  return useSyncExternalStore(store.subscribe, store.get);
}

/** A live session; undefined once it has ended, or before it is known. Renders again when this one changes. */
export function useLiveSession(place: Pick<Session, 'worker' | 'id'>): Session | undefined {
  const { store } = useLiveFleet();
  const key = sessionKey(place);
  return useSyncExternalStore(store.subscribe, () => store.get().byKey.get(key));
}

/** How the panel learns of changes. */
export function useConnection(): Connection {
  return useStore(useLiveFleet().feed.connection);
}

/** The launches of this visit that are still of interest, the latest last. */
export function useLaunches(): readonly Launch[] {
  return useStore(useLiveFleet().launches.list);
}

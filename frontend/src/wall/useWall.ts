import { useMemo, useState } from 'react';

import type { Session } from '../api/types.ts';
import { useFleet } from '../hooks/fleet.ts';
import { useStore } from '../lib/useStore.ts';
import { arrange, hasScreen } from './order.ts';
import { pins } from '../sessions/pins.ts';

/** The screens of the fleet in the order of the wall. */
export interface Wall {
  screens: readonly Session[];
  /** Whether this is the initial order; sessions added later may be at the end. */
  newestFirst: boolean;
  /** Restores the initial order. */
  sort: () => void;
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, place) => key === b[place]);
}

/** Keeps the wall's order stable while sessions come and go: see {@link arrange}. */
export function useWall(): Wall {
  const { sessions, byKey } = useFleet();
  const pinned = useStore(pins);
  const [before, setBefore] = useState<readonly string[]>([]);
  const listed = useMemo(() => sessions.filter(hasScreen), [sessions]);
  const order = useMemo(() => arrange(before, listed, pinned), [before, listed, pinned]);
  const fresh = useMemo(() => arrange([], listed, pinned), [listed, pinned]);
  if (!same(order, before)) setBefore(order);
  return {
    screens: order.flatMap((key) => byKey.get(key) ?? []),
    newestFirst: same(order, fresh),
    sort: () => {
      setBefore(fresh);
    },
  };
}

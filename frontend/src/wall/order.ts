import type { Session } from '../api/types.ts';
import { sessionKey } from '../live/fleetStore.ts';

/** Whether a session has a screen for the wall. It keeps its place while it restarts. */
export function hasScreen(session: Session): boolean {
  return session.vnc_enabled && session.status !== 'DEAD';
}

/**
 * The order of the wall, as session keys: first the pinned sessions in the order they were pinned, then those
 * already there, then new ones, newest first. So nothing moves while somebody watches unless a session ends,
 * is pinned or unpinned. An empty `before` gives the initial order.
 *
 * @param before the previous order
 * @param screens the sessions with a screen, newest first
 * @param pins the pinned keys, of sessions with a screen or not
 */
export function arrange(
  before: readonly string[],
  screens: readonly Session[],
  pins: readonly string[],
): string[] {
  const here = new Set(screens.map(sessionKey));
  // A Set keeps the order of insertion and has no duplicates.
  const order = new Set([...pins, ...before, ...here].filter((key) => here.has(key)));
  return [...order];
}

/** One page of a list. */
export interface WallPage<T> {
  /** Its zero-based number: the wanted one, or the last. */
  page: number;
  /** The number of pages: at least one. */
  pages: number;
  shown: T[];
}

/** Returns one page of a list. */
export function pageOf<T>(list: readonly T[], perPage: number, wanted: number): WallPage<T> {
  const pages = Math.max(1, Math.ceil(list.length / perPage));
  const page = Math.min(Math.max(0, wanted), pages - 1);
  return { page, pages, shown: list.slice(page * perPage, (page + 1) * perPage) };
}

import type { Session } from '../api/types.ts';
import { sessionKey } from '../live/fleetStore.ts';

/** Whether a session has a screen that can be shown on the wall. It keeps its place there while it restarts. */
export function hasScreen(session: Session): boolean {
  return session.vnc_enabled && session.status !== 'DEAD';
}

/**
 * The order of the wall, as keys of sessions: the pinned in the order they were pinned in; then those that were there
 * already, as they were; then what has come since, newest first. So nothing moves while somebody watches but what ended,
 * was pinned or was unpinned; an empty `before` gives the order that the wall opens with.
 *
 * @param before the order until now
 * @param screens the sessions with a screen, newest first
 * @param pins the keys that are pinned, of sessions with a screen or not
 */
export function arrange(
  before: readonly string[],
  screens: readonly Session[],
  pins: readonly string[],
): string[] {
  const here = new Set(screens.map(sessionKey));
  // A set remembers what was put in first, and takes nothing twice.
  const order = new Set([...pins, ...before, ...here].filter((key) => here.has(key)));
  return [...order];
}

/** One page of the wall. */
export interface WallPage<T> {
  /** Its number, from 0: what was asked for, or the last there is. */
  page: number;
  /** How many there are: at least one. */
  pages: number;
  shown: T[];
}

/** Cuts a page out of a list. */
export function pageOf<T>(list: readonly T[], perPage: number, wanted: number): WallPage<T> {
  const pages = Math.max(1, Math.ceil(list.length / perPage));
  const page = Math.min(Math.max(0, wanted), pages - 1);
  return { page, pages, shown: list.slice(page * perPage, (page + 1) * perPage) };
}

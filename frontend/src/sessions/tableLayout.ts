import { Preference } from '../lib/preference.ts';
import type { TableLayout } from './SessionTable.tsx';

/** The width of the column of checkboxes, in rem. */
export const PICK_WIDTH = 2.75;
/** The width of the column of actions, in rem. */
export const ACTIONS_WIDTH = 11.25;

function isLayout(value: unknown): value is TableLayout {
  if (typeof value !== 'object' || value === null) return false;
  const { sorting, hidden } = value as Partial<Record<keyof TableLayout, unknown>>;
  const isText = (item: unknown) => typeof item === 'string';
  const isSort = (item: unknown) =>
    typeof item === 'object' &&
    item !== null &&
    isText((item as { id?: unknown }).id) &&
    typeof (item as { desc?: unknown }).desc === 'boolean';
  return (
    Array.isArray(hidden) && hidden.every(isText) && Array.isArray(sorting) && sorting.every(isSort)
  );
}

/** The initial layout of the list of live sessions: the newest first. */
export const DEFAULT_LIVE_LAYOUT: TableLayout = {
  sorting: [{ id: 'created', desc: true }],
  hidden: ['profile', 'restarts'],
};
/** The initial layout of the list of ended sessions. */
export const DEFAULT_ENDED_LAYOUT: TableLayout = {
  sorting: [{ id: 'ended', desc: true }],
  hidden: ['engine', 'profile', 'restarts'],
};

/** The last layout of the list of live sessions. */
export const liveLayout = new Preference('sessions.live', DEFAULT_LIVE_LAYOUT, isLayout);

/** The last layout of the list of ended sessions. */
export const endedLayout = new Preference('sessions.ended', DEFAULT_ENDED_LAYOUT, isLayout);

import { expect, it } from 'vitest';

import { aSession } from '../test/server.ts';
import css from '../styles/sessions.css?raw';
import { ENDED_COLUMNS, LIVE_COLUMNS } from './sessionColumns.tsx';
import {
  ACTIONS_WIDTH,
  DEFAULT_ENDED_LAYOUT,
  DEFAULT_LIVE_LAYOUT,
  PICK_WIDTH,
} from './tableLayout.ts';

/** The panel's rem in pixels; in a media query it is the browser's, of 16. */
const REM = 15;
/** Beside the table, with its borders, in pixels. */
const MARGINS = 54;
/** What a column needs at least that shares the rest of the width, in rem: an id with its button, or a label. */
const LEAST_REST = 5.4;

it.each([
  ['live', LIVE_COLUMNS, DEFAULT_LIVE_LAYOUT],
  ['ended', ENDED_COLUMNS, DEFAULT_ENDED_LAYOUT],
] as const)('all columns of %s sessions fit where all are shown', (_, columns, { hidden }) => {
  const limit = /max-width: (\d+)rem\) {\s+\.sessions tr/.exec(css)?.[1];
  const widths = columns
    .filter(({ id }) => !hidden.includes(id))
    .map(({ width }) => width ?? LEAST_REST);
  const needed = widths.reduce((sum, width) => sum + width, PICK_WIDTH + ACTIONS_WIDTH);
  expect(needed * REM + MARGINS).toBeLessThanOrEqual(Number(limit) * 16);
});

it('what never ends by itself comes after everything that does', () => {
  const ttl = LIVE_COLUMNS.find(({ id }) => id === 'ttl')?.sortBy;
  const of = (seconds: number) => ttl?.(aSession({ idle_ttl_seconds: seconds }));
  expect(of(0)).toBe(Infinity);
  expect(of(2_592_000)).toBeLessThan(Infinity);
});

it('the profile is a column that is hidden at first', () => {
  for (const [columns, layout] of [
    [LIVE_COLUMNS, DEFAULT_LIVE_LAYOUT],
    [ENDED_COLUMNS, DEFAULT_ENDED_LAYOUT],
  ] as const) {
    expect(columns.some(({ id }) => id === 'profile')).toBe(true);
    expect(layout.hidden).toContain('profile');
  }
});

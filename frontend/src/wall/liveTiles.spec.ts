import { expect, it } from 'vitest';

import { LIVE_AT_ONCE, leave, type LiveTiles, press, visit } from './liveTiles.ts';

const keys = (live: LiveTiles) => live.map(({ key }) => key);

it('a tile is live while the pointer is on it', () => {
  const live = visit([], 'a');
  expect(live).toEqual([{ key: 'a', kept: false }]);
  expect(leave(live, 'a')).toEqual([]);
});

it('a click keeps it live, and the next ends that', () => {
  const live = press(visit([], 'a'), 'a');
  expect(leave(live, 'a')).toEqual([{ key: 'a', kept: true }]);
  expect(visit(live, 'a')).toBe(live);
  expect(press(live, 'a')).toEqual([]);
});

it('the oldest goes back to a picture when there are too many', () => {
  const tiles = Array.from({ length: LIVE_AT_ONCE + 1 }, (_, place) => String(place));
  expect(keys(tiles.reduce<LiveTiles>(press, []))).toEqual(tiles.slice(1));
});

import { expect, it } from 'vitest';

import { MAX_LIVE_TILES, leave, type LiveTiles, press, hover } from './liveTiles.ts';

const keys = (live: LiveTiles) => live.map(({ key }) => key);

it('a tile is live while the pointer is on it', () => {
  const live = hover([], 'a');
  expect(live).toEqual([{ key: 'a', kept: false }]);
  expect(leave(live, 'a')).toEqual([]);
});

it('a click keeps it live, and the next click ends that', () => {
  const live = press(hover([], 'a'), 'a');
  expect(leave(live, 'a')).toEqual([{ key: 'a', kept: true }]);
  expect(hover(live, 'a')).toBe(live);
  expect(press(live, 'a')).toEqual([]);
});

it('the oldest returns to a screenshot when too many are live', () => {
  const tiles = Array.from({ length: MAX_LIVE_TILES + 1 }, (_, place) => String(place));
  expect(keys(tiles.reduce<LiveTiles>(press, []))).toEqual(tiles.slice(1));
});

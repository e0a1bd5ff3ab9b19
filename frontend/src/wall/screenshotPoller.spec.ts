import { expect, it } from 'vitest';

import { screenshotWidth } from './screenshotPoller.ts';

it.each([
  [0, 1, 160],
  [160, 1, 160],
  [161, 1, 240],
  [350, 1, 480],
  [350, 2, 960],
  [4000, 2, 1280],
])('a tile of %i px at %i× requests a screenshot of %i px', (element, ratio, width) => {
  expect(screenshotWidth(element, ratio)).toBe(width);
});

import { expect, it } from 'vitest';

import { elapsedText, spanText, tookText } from './durations.ts';

it('says how long a setting is in its largest whole unit', () => {
  expect(spanText(300, 'en')).toBe('5 min');
  expect(spanText(90, 'en')).toBe('90 sec');
  expect(spanText(3600, 'ru')).toBe('1 ч');
});

it('is exact to the millisecond below ten seconds only', () => {
  expect(tookText(1234.4, 'en')).toBe('1.234 sec');
  expect(tookText(12_345, 'en')).toBe('12.3 sec');
  expect(tookText(1234, 'ru')).toBe('1,234 с');
});

it('counts in tenths', () => {
  expect(elapsedText(2960, 'en')).toBe('3.0 sec');
});

import { expect, test } from 'vitest';

import { spanText, valueText } from './formats.ts';

test('values are written in their unit and in the person’s notation', () => {
  expect(valueText(0.34, 'seconds', 'en')).toBe('340 ms');
  expect(valueText(1.25, 'seconds', 'ru')).toBe('1,3 с');
  expect(valueText(12_345, 'bytesPerSecond', 'en')).toBe('12.3 kB/s');
  expect(valueText(0, 'bytesPerSecond', 'en')).toBe('0 byte/s');
  expect(valueText(12_345, 'count', 'en')).toBe('12,345');
});

test('a span is told in its two largest units, and never by the second beyond a minute', () => {
  expect(spanText(42, 'en')).toBe('42 sec');
  expect(spanText(125, 'en')).toBe('2 min');
  expect(spanText(3 * 3600 + 60, 'en')).toBe('3 hr 1 min');
  expect(spanText(50 * 3600, 'ru')).toBe('2 дн. 2 ч');
  expect(spanText(-3, 'en')).toBe('0 sec');
});

import { expect, it } from 'vitest';

import { language } from '../i18n/language.ts';
import {
  agoText,
  byteRateText,
  bytesText,
  clockText,
  countryText,
  durationText,
  elapsedText,
  tookText,
  wholeUnitText,
} from './format.ts';

const NOW = Date.parse('2024-05-01T12:00:00Z');

it.each([
  [-5, '0:00'],
  [7, '0:07'],
  [299.2, '5:00'],
  [3599, '59:59'],
  [3600, '1:00:00'],
])('clockText(%s) is %s', (seconds, text) => {
  expect(clockText(seconds)).toBe(text);
});

it.each([
  ['2024-05-01T12:00:05Z', 'now'],
  ['2024-05-01T11:59:48Z', '12s ago'],
  ['2024-05-01T11:56:10Z', '3m ago'],
  ['2024-05-01T09:00:00Z', '3h ago'],
  ['2024-04-29T09:00:00Z', '2d ago'],
])('agoText of %s is %s', (timestamp, text) => {
  expect(agoText(timestamp, NOW)).toBe(text);
});

it.each([
  [42, '42s'],
  [720, '12m'],
  [11_100, '3h 5m'],
  [2 * 86_400 + 3700, '2d 1h'],
  [-3, '0s'],
])('durationText of %s seconds is %s', (seconds, text) => {
  const end = new Date(NOW + seconds * 1000).toISOString();
  expect(durationText(new Date(NOW).toISOString(), end)).toBe(text);
});

it('shows a setting in its largest whole unit', () => {
  expect(wholeUnitText(300)).toBe('5 min');
  expect(wholeUnitText(90)).toBe('90 sec');
  language.set('ru');
  expect(wholeUnitText(3600)).toMatch(/^1\sч$/);
});

it('shows milliseconds below ten seconds only', () => {
  expect(tookText(1234.4)).toBe('1.234 sec');
  expect(tookText(12_345)).toBe('12.3 sec');
});

it('shows tenths of seconds', () => {
  expect(elapsedText(2960)).toBe('3.0 sec');
});

it.each([
  [0, '0 byte'],
  [999, '999 byte'],
  [12_345, '12.3 kB'],
  [999_940, '999.9 kB'],
  [999_960, '1 MB'],
  [5e15, '5,000 TB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
});

it('a rate of bytes is per second', () => {
  expect(byteRateText(1_500_000)).toBe('1.5 MB/s');
});

it('names countries in the current language, and shows what is none', () => {
  expect(countryText('DE')).toBe('Germany');
  language.set('ru');
  expect(countryText('DE')).toBe('Германия');
  expect(countryText('XQ')).toBe('XQ');
  expect(countryText('Germany')).toBe('Germany');
});

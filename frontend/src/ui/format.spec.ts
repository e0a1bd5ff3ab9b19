import { describe, expect, it } from 'vitest';

import { language } from '../i18n/language.ts';
import { aSession } from '../test/server.ts';
import {
  agoText,
  clockText,
  durationText,
  elapsedText,
  endReasonText,
  idleSecondsLeft,
  momentText,
  tookText,
  unitText,
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

describe('idleSecondsLeft', () => {
  const session = aSession({ last_seen_at: '2024-05-01T11:58:00Z', idle_ttl_seconds: 300 });

  it('counts from when the session was last seen', () => {
    expect(idleSecondsLeft(session, NOW)).toBe(180);
  });

  it('stays between nothing and a whole TTL', () => {
    expect(idleSecondsLeft(session, NOW + 600_000)).toBe(0);
    expect(idleSecondsLeft(session, NOW - 600_000)).toBe(300);
  });
});

it('puts end reasons into words', () => {
  expect(endReasonText('display_lost')).toBe('Display lost');
  expect(endReasonText(null)).toBe('Unknown');
});

it('writes times and reasons in the language of the moment', () => {
  const start = new Date(NOW).toISOString();
  const later = new Date(NOW + 11_100_000).toISOString();
  expect(momentText(start)).toContain('May');
  language.set('ru');
  expect(momentText(start)).toContain('мая');
  expect(agoText('2024-05-01T11:56:10Z', NOW)).toMatch(/^3\sмин назад$/);
  expect(durationText(start, later)).toMatch(/^3\sч 5\sмин$/);
  expect(unitText(2.34, 'megabyte-per-second', 'short', 1)).toMatch(/^2,3\s/);
  expect(endReasonText('crashed')).toBe('Сбой браузера');
  language.set('en');
  expect(agoText('2024-05-01T11:56:10Z', NOW)).toBe('3m ago');
});

it('shows a reason that it does not know as it came', () => {
  expect(endReasonText('eaten' as 'crashed')).toBe('eaten');
});

it('says how long a setting is in its largest whole unit', () => {
  expect(wholeUnitText(300)).toBe('5 min');
  expect(wholeUnitText(90)).toBe('90 sec');
  language.set('ru');
  expect(wholeUnitText(3600)).toMatch(/^1\sч$/);
});

it('is exact to the millisecond below ten seconds only', () => {
  expect(tookText(1234.4)).toBe('1.234 sec');
  expect(tookText(12_345)).toBe('12.3 sec');
});

it('counts in tenths', () => {
  expect(elapsedText(2960)).toBe('3.0 sec');
});

import { describe, expect, it } from 'vitest';

import { aSession } from '../test/server.ts';
import { agoText, clockText, durationText, endReasonText, idleSecondsLeft } from './format.ts';

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
  [42, '42 s'],
  [720, '12 min'],
  [11_100, '3 h 5 min'],
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

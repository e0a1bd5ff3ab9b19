import { describe, expect, it } from 'vitest';

import { language } from '../i18n/language.ts';
import { aSession } from '../test/server.ts';
import { agoText, durationText, momentText, unitText } from '../ui/format.ts';
import { changeText, changeTone, endReasonText, idleSecondsLeft } from './sessionText.ts';

const NOW = Date.parse('2024-05-01T12:00:00Z');

describe('idleSecondsLeft', () => {
  it('is infinite without an idle TTL', () => {
    expect(idleSecondsLeft(aSession({ idle_ttl_seconds: 0 }), NOW + 9e9)).toBe(Infinity);
  });

  const session = aSession({ last_seen_at: '2024-05-01T11:58:00Z', idle_ttl_seconds: 300 });

  it('counts from the last activity', () => {
    expect(idleSecondsLeft(session, NOW)).toBe(180);
  });

  it('is between zero and the whole TTL', () => {
    expect(idleSecondsLeft(session, NOW + 600_000)).toBe(0);
    expect(idleSecondsLeft(session, NOW - 600_000)).toBe(300);
  });
});

it('translates end reasons', () => {
  expect(endReasonText('display_lost')).toBe('Display lost');
  expect(endReasonText('egress_lost')).toBe('Network exit lost');
  expect(endReasonText('profile_lost')).toBe('Profile lost');
  expect(endReasonText(null)).toBe('Unknown');
});

it('translates a changed exit, which is neither good nor bad', () => {
  expect(changeText('proxy_changed')).toBe('Exit changed');
  expect(changeTone('proxy_changed')).toBe('plain');
});

it('formats times and reasons in the current language', () => {
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

it('shows an unknown reason unchanged', () => {
  expect(endReasonText('eaten' as 'crashed')).toBe('eaten');
});

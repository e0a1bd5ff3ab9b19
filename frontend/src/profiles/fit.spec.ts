import { describe, expect, it } from 'vitest';

import type { Identity, ProxyCheck } from '../api/types.ts';
import { NOBODY } from '../test/server.ts';
import { misfits } from './fit.ts';
import { countryOf, systemOf } from './places.ts';

const WINTER = new Date('2026-01-15T12:00:00Z');
const SUMMER = new Date('2026-07-15T12:00:00Z');

function exit(country: string | null, timezone: string | null): ProxyCheck {
  return {
    ok: true,
    exit_ip: '192.0.2.1',
    country,
    city: null,
    location: null,
    timezone,
    latency_ms: 10,
    error: null,
    code: null,
  };
}

function found(identity: Partial<Identity>, of: ProxyCheck, now = WINTER): string[] {
  return misfits({ ...NOBODY, ...identity }, of, now).map(({ field, exit }) => `${field} ${exit}`);
}

describe('the fit of an identity and its exit', () => {
  it.each([
    [['de-AT'], 'AT', []],
    [['de-DE'], 'AT', []],
    [['de'], 'US', []],
    [['ja-JP', 'en-US'], 'US', []],
    [['es-419'], 'DE', []],
    [['de-AT', 'de'], 'US', ['locale US']],
    [['fr-FR'], 'JP', ['locale JP']],
  ])('languages %j in %s', (locale, country, expected) => {
    expect(found({ locale }, exit(country, null))).toEqual(expected);
  });

  it('a time zone fits where the time is the same and the country too', () => {
    const vienna = { timezone: 'Europe/Vienna' };
    expect(found(vienna, exit('AT', 'Europe/Vienna'))).toEqual([]);
    expect(found(vienna, exit('DE', 'Europe/Berlin'))).toEqual(['timezone DE']);
    expect(found(vienna, exit('US', 'America/New_York'))).toEqual(['timezone America/New_York']);
    const phoenix = { timezone: 'America/Phoenix' };
    expect(found(phoenix, exit('US', 'America/Denver'), WINTER)).toEqual([]);
    expect(found(phoenix, exit('US', 'America/Denver'), SUMMER)).toEqual([
      'timezone America/Denver',
    ]);
    expect(found({ timezone: 'UTC' }, exit('GB', 'Europe/London'), WINTER)).toEqual([]);
  });

  it('says nothing of what is not known', () => {
    expect(found({ locale: ['de-AT'], timezone: 'Europe/Vienna' }, exit(null, null))).toEqual([]);
    expect(misfits(null, exit('US', 'America/New_York'))).toEqual([]);
  });
});

it('an identity lives in the country of its languages, else of its time zone', () => {
  expect(countryOf({ ...NOBODY, locale: ['de', 'de-AT'], timezone: 'Asia/Tokyo' })).toBe('AT');
  expect(countryOf({ ...NOBODY, locale: ['de'], timezone: 'Asia/Tokyo' })).toBe('JP');
  expect(countryOf({ ...NOBODY, timezone: 'Europe/Kiev' })).toBe('UA');
  expect(countryOf({ ...NOBODY, timezone: 'UTC' })).toBeNull();
  expect(countryOf(null)).toBeNull();
});

it('an identity has a system where one was set', () => {
  expect(systemOf({ ...NOBODY, os: ['macos'] })).toBe('macOS');
  expect(systemOf({ ...NOBODY, os: ['windows', 'macos'] })).toBe('Windows / macOS');
  expect(systemOf(NOBODY)).toBeNull();
  expect(systemOf(null)).toBeNull();
});

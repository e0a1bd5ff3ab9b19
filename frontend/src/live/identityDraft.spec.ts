import { describe, expect, it } from 'vitest';

import { NOBODY } from '../test/server.ts';
import {
  identityOfProfile,
  NO_IDENTITY,
  placeOf,
  preferencesOf,
  sizeOf,
  toIdentity,
  unreadable,
} from './identityDraft.ts';

describe('an identity as typed', () => {
  it('is omitted where it is empty', () => {
    expect(toIdentity(NO_IDENTITY)).toEqual({});
    expect(unreadable(NO_IDENTITY)).toEqual([]);
  });

  it('is sent as the API has it', () => {
    const draft = {
      ...NO_IDENTITY,
      locale: 'de-AT, de',
      timezone: ' Europe/Vienna ',
      geolocation: '48.2, 16.4',
      screen: '1366×768',
      coherence: 'warn' as const,
    };
    expect(toIdentity(draft)).toEqual({
      locale: ['de-AT', 'de'],
      timezone: 'Europe/Vienna',
      geolocation: { latitude: 48.2, longitude: 16.4 },
      screen: { width: 1366, height: 768 },
      coherence: 'warn',
    });
    const auto = { ...NO_IDENTITY, locale: 'auto', timezone: 'auto', geolocation: 'auto' };
    expect(toIdentity(auto)).toEqual({ locale: 'auto', timezone: 'auto', geolocation: 'auto' });
  });

  it('names what can’t be read', () => {
    const draft = { ...NO_IDENTITY, geolocation: 'Vienna', screen: 'large', preferences: 'dom.a' };
    expect(unreadable(draft)).toEqual(['geolocation', 'screen', 'preferences']);
  });

  it('has preferences with their types, which are shown as they are typed', () => {
    const typed = 'dom.a = 4\n\n dom.b=true\nlayout.c = a = b\ndom.d = "4"\ndom.e = -1\ndom.f =';
    const read = {
      'dom.a': 4,
      'dom.b': true,
      'layout.c': 'a = b',
      'dom.d': '4',
      'dom.e': -1,
      'dom.f': '',
    };
    expect(preferencesOf(typed)).toEqual(read);
    expect(toIdentity({ ...NO_IDENTITY, preferences: typed })).toEqual({ user_preferences: read });
    const odd = { 'dom.g': '"quoted"', 'dom.h': ' spaces ', 'dom.i': 'two\nlines', 'dom.j': '"' };
    Object.assign(read, odd);
    const identity = { ...NOBODY, user_preferences: read };
    const shown = identityOfProfile({ identity, browser: 'firefox' }, NO_IDENTITY).preferences;
    expect(preferencesOf(shown)).toEqual(read);
    expect(preferencesOf('dom.a')).toBeNull();
    expect(preferencesOf('= 4')).toBeNull();
  });

  it.each(['91, 0', '0, 181', '48.2', '', 'a, b', '48,2, 16,4'])('has no place at "%s"', (text) => {
    expect(placeOf(text)).toBeNull();
  });

  it.each([
    ['1280-1920x720-1080', { min_width: 1280, max_width: 1920, min_height: 720, max_height: 1080 }],
    ['1280–1920 × 800', { min_width: 1280, max_width: 1920, min_height: 800, max_height: 800 }],
  ])('reads the limits "%s"', (text, limits) => {
    expect(sizeOf(text)).toEqual(limits);
  });

  it.each(['1920-1280x720', '1280-x720', '100x100', '1366', '9000x900', '1366.5x768'])(
    'has no screen of "%s"',
    (text) => {
      expect(sizeOf(text)).toBeNull();
    },
  );
});

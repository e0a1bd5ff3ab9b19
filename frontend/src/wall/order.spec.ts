import { describe, expect, it } from 'vitest';

import { aSession } from '../test/server.ts';
import { arrange, hasScreen, pageOf } from './order.ts';

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((id) => aSession({ id, vnc_enabled: true }));
const screens = (...listed: (typeof a)[]) => listed.flatMap((session) => session ?? []);

describe('the order of the wall', () => {
  it('starts with the pinned ones, in the order of their pins, then the newest', () => {
    expect(arrange([], screens(d, c, b, a), ['local/a', 'local/c'])).toEqual([
      'local/a',
      'local/c',
      'local/d',
      'local/b',
    ]);
  });

  it('stays when a session is added', () => {
    expect(arrange(['local/b', 'local/a'], screens(d, c, b, a), [])).toEqual([
      'local/b',
      'local/a',
      'local/d',
      'local/c',
    ]);
  });

  it('closes the gap when a session ends', () => {
    expect(arrange(['local/c', 'local/b', 'local/a'], screens(c, a), [])).toEqual([
      'local/c',
      'local/a',
    ]);
  });

  it('ignores pins of missing sessions', () => {
    expect(arrange([], screens(a), ['local/gone'])).toEqual(['local/a']);
  });
});

it('a session has a screen while it starts and restarts, if it was launched with one', () => {
  expect(hasScreen(aSession({ vnc_enabled: true, status: 'INIT' }))).toBe(true);
  expect(hasScreen(aSession({ vnc_enabled: true, status: 'DEAD' }))).toBe(false);
  expect(hasScreen(aSession())).toBe(false);
});

describe('a page of the wall', () => {
  const five = [1, 2, 3, 4, 5];

  it('is a slice of the list', () => {
    expect(pageOf(five, 2, 0)).toEqual({ page: 0, pages: 3, shown: [1, 2] });
    expect(pageOf(five, 2, 2)).toEqual({ page: 2, pages: 3, shown: [5] });
  });

  it('is the last one when the wanted page no longer exists', () => {
    expect(pageOf(five, 4, 7)).toEqual({ page: 1, pages: 2, shown: [5] });
    expect(pageOf([], 4, 3)).toEqual({ page: 0, pages: 1, shown: [] });
  });
});

import { describe, expect, it } from 'vitest';

import { aSession } from '../test/server.ts';
import { filterSessions, isFiltering, labelsOf, NO_FILTER } from './sessionFilter.ts';

const shop = aSession({ id: 'aaaa', worker: 'east', labels: { team: 'shop', stage: 'a=b' } });
const search = aSession({
  id: 'bbbb',
  worker: 'west',
  status: 'INIT',
  labels: { team: 'search' },
  proxy: { server: 'socks5://a.test:1080', pool: null },
  start_url: 'https://Example.com/',
});
const all = [shop, search];

describe('filterSessions', () => {
  it.each([
    ['nothing', {}, all],
    ['a part of the id', { search: 'aa' }, [shop]],
    ['the URL in any case', { search: 'EXAMPLE' }, [search]],
    ['all of several words', { search: 'west team=search' }, [search]],
    ['words of different sessions', { search: 'west shop' }, []],
    ['a state', { status: 'INIT' as const }, [search]],
    ['a worker', { worker: 'east' }, [shop]],
    ['a label', { label: 'team=shop' }, [shop]],
    ['a label whose value has an equals sign', { label: 'stage=a=b' }, [shop]],
    ['a proxy', { exit: 'socks5://a.test:1080' }, [search]],
    ['direct connections', { exit: 'direct' }, [shop]],
    ['a part of the proxy', { search: 'a.test' }, [search]],
    ['a label’s key', { label: 'team' }, all],
    ['a key that only objects have', { label: 'constructor' }, []],
    ['a state and a worker that do not meet', { status: 'INIT' as const, worker: 'east' }, []],
  ])('by %s', (_name, filter, expected) => {
    expect(filterSessions(all, { ...NO_FILTER, ...filter })).toEqual(expected);
  });
});

it('does not know the exit of a session without control over it', () => {
  const uncontrolled = aSession({ egress: null });
  expect(filterSessions([uncontrolled], { ...NO_FILTER, exit: 'direct' })).toEqual([]);
});

it('knows whether it excludes anything', () => {
  expect(isFiltering(NO_FILTER)).toBe(false);
  expect(isFiltering({ ...NO_FILTER, search: '  ' })).toBe(false);
  expect(isFiltering({ ...NO_FILTER, worker: 'east' })).toBe(true);
});

it('lists every label once', () => {
  expect(labelsOf([shop, search, shop])).toEqual(['stage=a=b', 'team=search', 'team=shop']);
});

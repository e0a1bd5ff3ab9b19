import { describe, expect, it } from 'vitest';

import { DEFAULT_PROXY, draftOf, splitAddress, toProxy, withoutPassword } from './proxyDraft.ts';

describe('splitAddress', () => {
  it.each([
    ['socks5://me:pw@a.test:1080', 'socks5://a.test:1080', 'me', 'pw'],
    ['me:pw@a.test:3128', 'a.test:3128', 'me', 'pw'],
    ['http://me%40home:p%3Aa%2Fss@a.test:1', 'http://a.test:1', 'me@home', 'p:a/ss'],
    ['http://me:p@ss:w@a.test:1', 'http://a.test:1', 'me', 'p@ss:w'],
    ['http://key@a.test:1', 'http://a.test:1', 'key', ''],
    ['http://me:100%@a.test:1', 'http://a.test:1', 'me', '100%'],
    [' a.test:3128:me:p:w ', 'a.test:3128', 'me', 'p:w'],
    ['10.0.0.1:3128:me:pw', '10.0.0.1:3128', 'me', 'pw'],
    ['socks5://a.test:1080:me:pw', 'socks5://a.test:1080', 'me', 'pw'],
    ['socks5://me:pw@[2001:db8::1]:1080', 'socks5://[2001:db8::1]:1080', 'me', 'pw'],
  ])('finds the credentials of %j', (text, server, username, password) => {
    expect(splitAddress(text)).toEqual({ server, username, password });
  });

  it.each(['', 'a.test', 'a.test:3128', 'http://a.test:1', '[2001:db8::1]:1080', '2001:db8:1::5'])(
    'finds none in %j',
    (text) => {
      expect(splitAddress(text)).toBeNull();
    },
  );
});

describe('toProxy', () => {
  const own = { ...DEFAULT_PROXY, kind: 'own' as const, server: ' socks5://a.test:1080 ' };
  it.each([
    ['the default', DEFAULT_PROXY, null],
    ['no proxy', { ...DEFAULT_PROXY, kind: 'direct' as const }, 'direct'],
    ['a pool', { ...DEFAULT_PROXY, kind: 'pool' as const, pool: 'eu' }, 'eu'],
    ['a server', own, { server: 'socks5://a.test:1080' }],
    [
      'a server with everything',
      { ...own, username: 'me', password: ' p w ', bypass: ' .b.test ' },
      { server: 'socks5://a.test:1080', username: 'me', password: ' p w ', bypass: '.b.test' },
    ],
    [
      'a key as the user name',
      { ...own, username: 'key' },
      { server: 'socks5://a.test:1080', username: 'key', password: '' },
    ],
    [
      'credentials in the address',
      { ...own, server: 'me:pw@a.test:1' },
      { server: 'a.test:1', username: 'me', password: 'pw' },
    ],
    [
      'a pool, whatever is left in the fields of a server',
      { ...own, kind: 'pool' as const, pool: 'eu', password: 'pw' },
      'eu',
    ],
  ])('writes %s', (_, draft, request) => {
    expect(toProxy(draft)).toEqual(request);
  });
});

it('a form without its password has none in the address either', () => {
  const draft = { ...DEFAULT_PROXY, kind: 'own' as const, server: 'http://me:s3cret@a.test:1' };
  expect(withoutPassword(draft)).toEqual({ ...draft, server: 'http://a.test:1', username: 'me' });
  expect(JSON.stringify(withoutPassword({ ...draft, password: 's3cret' }))).not.toMatch('s3cret');
});

it('a form for a change begins with the present proxy', () => {
  expect(draftOf(null).kind).toBe('direct');
  expect(draftOf({ server: null, pool: 'eu' })).toMatchObject({ kind: 'pool', pool: 'eu' });
  expect(draftOf({ server: 'http://a.test:1', pool: null })).toEqual({
    ...DEFAULT_PROXY,
    kind: 'own',
    server: 'http://a.test:1',
  });
});

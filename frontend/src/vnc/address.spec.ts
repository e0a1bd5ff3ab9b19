import { describe, expect, it } from 'vitest';

import { isSwitchedOn, livePageSocket, parseLivePath } from './address.ts';

describe('parseLivePath', () => {
  it.each([
    ['/vnc/6900', '/', '6900'],
    ['/vnc/6900/', '/', '6900'],
    ['/p/vnc/6900/', '/p/', '6900'],
    ['/a/b/vnc/6901', '/a/b/', '6901'],
    ['/vnc/6900/vnc.html', '/', '6900'],
    ['/vnc/desk%20one', '/', 'desk one'],
  ])('reads %s', (path, prefix, id) => {
    expect(parseLivePath(path)).toEqual({ prefix, id });
  });

  it.each(['/', '/vnc', '/vnc/', '/vnc.html', '/nvnc/6900', '/vnc/%E0%A4%A'])(
    'finds no live view in %s',
    (path) => {
      expect(parseLivePath(path)).toBeNull();
    },
  );
});

const NOTHING = { key: null, token: null };

describe('livePageSocket', () => {
  it('is the gateway’s WebSocket below the same prefix', () => {
    const page = new URL('http://fleet.test:9000/p/vnc/6900/?view_only=1#x');
    expect(livePageSocket(page, { prefix: '/p/', id: '6900' }, NOTHING).href).toBe(
      'ws://fleet.test:9000/p/websockify?token=6900',
    );
  });

  it('is encrypted when the page is, and has the key, or else the access token', () => {
    const page = new URL('https://fleet.test/vnc/6900');
    const held = { key: 'k1', token: 's&t' };
    expect(livePageSocket(page, { prefix: '/', id: '6900' }, held).href).toBe(
      'wss://fleet.test/websockify?token=6900&key=k1',
    );
    expect(livePageSocket(page, { prefix: '/', id: '6900' }, { ...held, key: null }).href).toBe(
      'wss://fleet.test/websockify?token=6900&access_token=s%26t',
    );
  });
});

describe('isSwitchedOn', () => {
  it.each(['', '1', 'true', 'YES', 'on'])('takes %j as on', (value) => {
    expect(isSwitchedOn(value)).toBe(true);
  });

  it.each([null, '0', 'false', 'no'])('takes %j as off', (value) => {
    expect(isSwitchedOn(value)).toBe(false);
  });
});

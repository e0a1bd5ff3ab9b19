import { describe, expect, it } from 'vitest';

import { apiUrl, liveViewUrl, panelBase, publicUrl, webSocketUrl } from './base.ts';

const ORIGIN = 'http://fleet.test:9000';

describe('panelBase', () => {
  it.each([
    ['/', '/'],
    ['/fleet/', '/fleet/'],
    ['/fleet/index.html', '/fleet/'],
    ['/fleet/?a=/b/#c', '/fleet/'],
  ])('of %s is %s', (path, base) => {
    expect(panelBase(ORIGIN + path).href).toBe(ORIGIN + base);
  });
});

describe('apiUrl', () => {
  it.each(['/fleet/', '/fleet/index.html'])('is below the folder of %s', (path) => {
    expect(apiUrl('sessions?ended=true', ORIGIN + path).href).toBe(
      `${ORIGIN}/fleet/api/sessions?ended=true`,
    );
  });

  it('is below the root when the panel is', () => {
    expect(apiUrl('health', `${ORIGIN}/`).href).toBe(`${ORIGIN}/api/health`);
  });
});

describe('publicUrl', () => {
  it('resolves a leading slash against the panel’s folder', () => {
    expect(publicUrl('/vnc/6900', `${ORIGIN}/fleet/`).href).toBe(`${ORIGIN}/fleet/vnc/6900`);
    expect(publicUrl('/vnc/6900', `${ORIGIN}/`).href).toBe(`${ORIGIN}/vnc/6900`);
  });

  it('does not add a prefix that the address already has', () => {
    expect(publicUrl('/fleet/sessions/a/b/ws', `${ORIGIN}/fleet/`).href).toBe(
      `${ORIGIN}/fleet/sessions/a/b/ws`,
    );
  });

  it('leaves absolute addresses alone', () => {
    expect(publicUrl('https://vnc.test/x?id=1', `${ORIGIN}/fleet/`).href).toBe(
      'https://vnc.test/x?id=1',
    );
  });
});

describe('webSocketUrl', () => {
  it('takes the scheme that fits the page', () => {
    expect(webSocketUrl('/sessions/local/1/ws', `${ORIGIN}/fleet/`).href).toBe(
      'ws://fleet.test:9000/fleet/sessions/local/1/ws',
    );
    expect(webSocketUrl('/sessions/local/1/ws', 'https://fleet.test/').href).toBe(
      'wss://fleet.test/sessions/local/1/ws',
    );
  });

  it('keeps the scheme of a WebSocket address', () => {
    expect(webSocketUrl('ws://vnc.test/w?token=1', 'https://fleet.test/').href).toBe(
      'ws://vnc.test/w?token=1',
    );
  });
});

describe('liveViewUrl', () => {
  it('adds the access token only for the panel’s own host and only when the address has no key', () => {
    const page = `${ORIGIN}/fleet/`;
    expect(liveViewUrl('/websockify?token=6900', 's3 cret', page).href).toBe(
      'ws://fleet.test:9000/fleet/websockify?token=6900&access_token=s3+cret',
    );
    expect(liveViewUrl('wss://vnc.test/websockify?token=6900', 's3cret', page).href).toBe(
      'wss://vnc.test/websockify?token=6900',
    );
    expect(liveViewUrl('/websockify?token=6900&key=k1', 's3cret', page).search).toBe(
      '?token=6900&key=k1',
    );
    expect(liveViewUrl('/websockify?token=6900', null, page).search).toBe('?token=6900');
  });
});

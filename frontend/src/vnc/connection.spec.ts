import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { i18n } from '../i18n/i18n.ts';
import { LiveConnection } from './connection.ts';
import { type LiveStatus, statusText } from './status.ts';

const t = i18n.getFixedT(null, 'screen');

/** noVNC's client as the wrapper sees it: properties, methods that are recorded, and events. */
class FakeRfb extends EventTarget {
  static made: FakeRfb[] = [];
  viewOnly = false;
  scaleViewport = false;
  background = '';
  readonly disconnect = vi.fn();
  readonly sendKey = vi.fn();
  readonly sendCtrlAltDel = vi.fn();
  readonly clipboardPasteFrom = vi.fn();
  readonly sendCredentials = vi.fn();
  readonly approveServer = vi.fn();
  readonly focus = vi.fn();

  constructor(
    readonly target: HTMLElement,
    readonly socket: FakeSocket,
    readonly options: object,
  ) {
    super();
    FakeRfb.made.push(this);
  }

  tell(type: string, detail: object = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Ends as noVNC does: first the socket's event, then its own. */
  drop(reason = '', clean = true) {
    this.socket.dispatchEvent(new CloseEvent('close', { code: reason ? 1011 : 1006, reason }));
    this.tell('disconnect', { clean });
  }
}

class FakeSocket extends EventTarget {
  constructor(
    readonly url: URL,
    readonly protocols: string[],
  ) {
    super();
    if (url.host === 'forbidden.test') throw new Error('The operation is insecure.');
  }
}

vi.mock('@novnc/novnc', () => ({
  // Looked up late: this factory runs before the class above is defined.
  get default() {
    return FakeRfb;
  },
}));

let statuses: LiveStatus[];
let copied: string[];
let connection: LiveConnection;

function connect(url = 'ws://fleet.test/websockify?token=6900', viewOnly = true) {
  statuses = [];
  copied = [];
  connection = new LiveConnection({
    target: document.createElement('div'),
    url: new URL(url),
    viewOnly,
    onStatus: (status) => statuses.push(status),
    onClipboard: (text) => copied.push(text),
  });
  connection.open();
}

function newest(): FakeRfb {
  const rfb = FakeRfb.made.at(-1);
  if (!rfb) throw new Error('no connection was tried');
  return rfb;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('WebSocket', FakeSocket);
  FakeRfb.made = [];
});

afterEach(() => {
  connection.close();
  vi.useRealTimers();
});

describe('LiveConnection', () => {
  it('connects by itself, scaled, with the binary subprotocol', () => {
    connect();
    expect(newest().socket.protocols).toEqual(['binary']);
    expect(newest().scaleViewport).toBe(true);
    expect(newest().viewOnly).toBe(true);
    expect(statuses).toEqual([{ state: 'connecting' }]);
    newest().tell('connect');
    expect(statuses.at(-1)).toEqual({ state: 'connected' });
  });

  it('waits longer after each failure, up to ten seconds', () => {
    connect();
    const delays = [1000, 2000, 4000, 8000, 10_000, 10_000];
    delays.forEach((delay, failures) => {
      expect(FakeRfb.made).toHaveLength(failures + 1);
      newest().drop('', false);
      vi.advanceTimersByTime(delay - 1);
      expect(FakeRfb.made).toHaveLength(failures + 1);
      vi.advanceTimersByTime(1);
    });
    expect(FakeRfb.made).toHaveLength(delays.length + 1);
  });

  it('starts over with the short wait once a connection has lasted', () => {
    connect();
    newest().drop('', false);
    vi.advanceTimersByTime(1000);
    newest().drop('', false);
    vi.advanceTimersByTime(2000);
    newest().tell('connect');
    vi.advanceTimersByTime(10_000);
    newest().drop();
    vi.advanceTimersByTime(1000);
    expect(FakeRfb.made).toHaveLength(4);
  });

  it('does not take a connection that breaks at once for a good one', () => {
    connect();
    newest().drop('', false);
    vi.advanceTimersByTime(1000);
    newest().tell('connect');
    newest().drop();
    expect(statuses.at(-1)).toMatchObject({ retryAt: Date.now() + 2000 });
  });

  it.each([
    ['the server’s reason', false, 'VNC server hung up', 'VNC server hung up.'],
    [
      'an unreachable screen',
      false,
      '',
      'The screen can’t be reached; the session may have ended.',
    ],
    ['a lost connection', true, '', 'The connection to the screen was lost.'],
  ])('says why: %s', (_case, wasConnected, closeReason, text) => {
    connect();
    if (wasConnected) newest().tell('connect');
    newest().drop(closeReason, wasConnected);
    const status = statuses.at(-1);
    expect(status?.state).toBe('disconnected');
    expect(status && statusText(t, status, Date.now())).toBe(`${text} Trying again in 1\u00a0s.`);
  });

  it('gives up an attempt that gets no answer', () => {
    connect();
    const first = newest();
    vi.advanceTimersByTime(15_000);
    expect(first.disconnect).toHaveBeenCalledOnce();
    expect(statuses.at(-1)).toMatchObject({ loss: { kind: 'timeout' } });
    // What noVNC reports afterwards about the abandoned attempt changes nothing.
    first.tell('disconnect', { clean: true });
    vi.advanceTimersByTime(1000);
    expect(FakeRfb.made).toHaveLength(2);
  });

  it('asks for a password, keeps it for reconnects, and forgets it when it is refused', () => {
    connect();
    newest().tell('credentialsrequired', { types: ['password'] });
    expect(statuses.at(-1)).toEqual({ state: 'protected', wanted: ['password'], refusal: null });
    vi.advanceTimersByTime(60_000);
    expect(FakeRfb.made).toHaveLength(1);

    connection.sendCredentials({ password: 'wrong' });
    expect(newest().sendCredentials).toHaveBeenCalledWith({ password: 'wrong' });
    newest().tell('connect');
    newest().drop();
    vi.advanceTimersByTime(1000);
    expect(newest().options).toEqual({ credentials: { password: 'wrong' } });

    newest().tell('securityfailure', { status: 1, reason: 'Authentication failed' });
    newest().drop('', false);
    expect(statuses.at(-1)).toMatchObject({
      loss: { kind: 'refused', text: 'Authentication failed' },
    });
    vi.advanceTimersByTime(2000);
    expect(newest().options).toEqual({});

    // What was wrong stays to be read for as long as a person needs to type.
    newest().tell('credentialsrequired', { types: ['password'] });
    const refusal = { kind: 'refused', text: 'Authentication failed' };
    expect(statuses.at(-1)).toEqual({ state: 'protected', wanted: ['password'], refusal });
    connection.sendCredentials({ password: 'right' });
    newest().tell('connect');
    newest().drop();
    vi.advanceTimersByTime(8000);
    newest().tell('credentialsrequired', { types: ['password'] });
    expect(statuses.at(-1)).toMatchObject({ refusal: null });
  });

  it('lets go of held keys before it stops controlling, and keeps the choice', () => {
    connect(undefined, false);
    newest().tell('connect');
    newest().sendKey.mockImplementation(() => {
      expect(newest().viewOnly).toBe(false);
    });
    connection.setViewOnly(true);
    expect(newest().sendKey).toHaveBeenCalledWith(0xffe3, 'ControlLeft', false);
    expect(newest().viewOnly).toBe(true);
    newest().drop();
    vi.advanceTimersByTime(1000);
    expect(newest().viewOnly).toBe(true);
  });

  it('keeps the choice of the size, too', () => {
    connect();
    connection.setScaled(false);
    expect(newest().scaleViewport).toBe(false);
    newest().drop('', false);
    vi.advanceTimersByTime(1000);
    expect(newest().scaleViewport).toBe(false);
  });

  it('passes keys and texts on, both ways, and counts what the screen sends', () => {
    connect(undefined, false);
    connection.sendKey({ name: 'Esc', keysym: 0xff1b, code: 'Escape' });
    expect(newest().sendKey).toHaveBeenCalledWith(0xff1b, 'Escape', undefined);
    connection.sendCtrlAltDel();
    expect(newest().sendCtrlAltDel).toHaveBeenCalledOnce();
    connection.sendText('there');
    expect(newest().clipboardPasteFrom).toHaveBeenCalledWith('there');
    newest().tell('clipboard', { text: 'here' });
    expect(copied).toEqual(['here']);
    for (const length of [3, 4]) {
      const data = new ArrayBuffer(length);
      newest().socket.dispatchEvent(new MessageEvent('message', { data }));
    }
    expect(connection.received).toBe(7);
  });

  it('does not try an address the page may not open a second time', () => {
    connect('ws://forbidden.test/');
    expect(statuses.at(-1)).toEqual({
      state: 'disconnected',
      loss: { kind: 'told', text: 'The operation is insecure.' },
      retryAt: null,
    });
    vi.advanceTimersByTime(60_000);
    expect(statuses).toHaveLength(2);
  });

  it('stays closed once it is closed', () => {
    connect();
    newest().drop('', false);
    connection.close();
    vi.advanceTimersByTime(60_000);
    expect(FakeRfb.made).toHaveLength(1);

    connect();
    connection.close();
    expect(newest().disconnect).toHaveBeenCalledOnce();
    newest().tell('disconnect', { clean: true });
    expect(statuses).toEqual([{ state: 'connecting' }]);
  });
});

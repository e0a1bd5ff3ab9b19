import { http, HttpResponse } from 'msw';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { i18n } from '../i18n/i18n.ts';
import { LiveConnection } from './connection.ts';
import { refusal, server } from '../test/server.ts';
import { type LiveStatus, statusText } from './status.ts';

const t = i18n.getFixedT(null, 'screen');

/** A stand-in for noVNC's client: properties, recorded calls, and events. */
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

  emit(type: string, detail: object = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Closes as noVNC does: first the socket's event, then its own. */
  drop(reason = '', clean = true) {
    this.socket.dispatchEvent(new CloseEvent('close', { code: reason ? 1011 : 1006, reason }));
    this.emit('disconnect', { clean });
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
  // Looked up lazily: this factory runs before the class above is defined.
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
    newest().emit('connect');
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

  it('restarts with the short delay after a stable connection', () => {
    connect();
    newest().drop('', false);
    vi.advanceTimersByTime(1000);
    newest().drop('', false);
    vi.advanceTimersByTime(2000);
    newest().emit('connect');
    vi.advanceTimersByTime(10_000);
    newest().drop();
    vi.advanceTimersByTime(1000);
    expect(FakeRfb.made).toHaveLength(4);
  });

  it('treats a connection that breaks at once as a failure', () => {
    connect();
    newest().drop('', false);
    vi.advanceTimersByTime(1000);
    newest().emit('connect');
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
    if (wasConnected) newest().emit('connect');
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
    // A late event of the abandoned attempt changes nothing.
    first.emit('disconnect', { clean: true });
    vi.advanceTimersByTime(1000);
    expect(FakeRfb.made).toHaveLength(2);
  });

  it('asks for a password, keeps it for reconnects, and forgets it when it is refused', () => {
    connect();
    newest().emit('credentialsrequired', { types: ['password'] });
    expect(statuses.at(-1)).toEqual({ state: 'protected', wanted: ['password'], refusal: null });
    vi.advanceTimersByTime(60_000);
    expect(FakeRfb.made).toHaveLength(1);

    connection.sendCredentials({ password: 'wrong' });
    expect(newest().sendCredentials).toHaveBeenCalledWith({ password: 'wrong' });
    newest().emit('connect');
    newest().drop();
    vi.advanceTimersByTime(1000);
    expect(newest().options).toEqual({ credentials: { password: 'wrong' } });

    newest().emit('securityfailure', { status: 1, reason: 'Authentication failed' });
    newest().drop('', false);
    expect(statuses.at(-1)).toMatchObject({
      loss: { kind: 'refused', text: 'Authentication failed' },
    });
    vi.advanceTimersByTime(2000);
    expect(newest().options).toEqual({});

    // The error stays visible while the user types.
    newest().emit('credentialsrequired', { types: ['password'] });
    const refusal = { kind: 'refused', text: 'Authentication failed' };
    expect(statuses.at(-1)).toEqual({ state: 'protected', wanted: ['password'], refusal });
    connection.sendCredentials({ password: 'right' });
    newest().emit('connect');
    newest().drop();
    vi.advanceTimersByTime(8000);
    newest().emit('credentialsrequired', { types: ['password'] });
    expect(statuses.at(-1)).toMatchObject({ refusal: null });
  });

  it('releases held keys when it loses control, and keeps that mode on reconnect', () => {
    connect(undefined, false);
    newest().emit('connect');
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

  it('keeps the chosen scaling on reconnect', () => {
    connect();
    connection.setScaled(false);
    expect(newest().scaleViewport).toBe(false);
    newest().drop('', false);
    vi.advanceTimersByTime(1000);
    expect(newest().scaleViewport).toBe(false);
  });

  it('passes keys and texts in both directions, and counts received bytes', () => {
    connect(undefined, false);
    connection.sendKey({ name: 'Esc', keysym: 0xff1b, code: 'Escape' });
    expect(newest().sendKey).toHaveBeenCalledWith(0xff1b, 'Escape', undefined);
    connection.sendCtrlAltDel();
    expect(newest().sendCtrlAltDel).toHaveBeenCalledOnce();
    connection.sendText('there');
    expect(newest().clipboardPasteFrom).toHaveBeenCalledWith('there');
    newest().emit('clipboard', { text: 'here' });
    expect(copied).toEqual(['here']);
    for (const length of [3, 4]) {
      const data = new ArrayBuffer(length);
      newest().socket.dispatchEvent(new MessageEvent('message', { data }));
    }
    expect(connection.received).toBe(7);
  });

  it('does not retry an address that the page may not open', () => {
    connect('ws://forbidden.test/');
    expect(statuses.at(-1)).toEqual({
      state: 'disconnected',
      loss: { kind: 'reported', text: 'The operation is insecure.' },
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
    newest().emit('disconnect', { clean: true });
    expect(statuses).toEqual([{ state: 'connecting' }]);
  });
});

describe('a LiveConnection whose gateway provides view info', () => {
  const HERE = `ws://${window.location.host}/websockify?token=6900`;
  const KEYED = `${HERE}&key=k1`;
  const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000 });
  /** The queries of the requests for view info. */
  let asked: string[];
  let answer: () => Response;

  const shows = (session: string | null, key: string | null) => () =>
    HttpResponse.json({ session, key });
  const over = () => refusal(410, 'view_over', 'It is over');
  const urls = () => FakeRfb.made.map(({ socket }) => socket.url.href);
  const words = () => statusText(t, statuses.at(-1) ?? { state: 'connecting' }, Date.now());
  const isOver = (kind: string) =>
    eventually(() => {
      expect(statuses.at(-1)).toEqual({ state: 'disconnected', loss: { kind }, retryAt: null });
    });
  const wasAsked = (times: number) =>
    eventually(() => {
      expect(asked).toHaveLength(times);
    });
  const connects = (...addresses: string[]) =>
    eventually(() => {
      expect(urls()).toEqual(addresses);
    });
  const willRetry = () =>
    eventually(() => {
      const status = statuses.at(-1);
      expect(status?.state === 'disconnected' && status.retryAt).toEqual(expect.any(Number));
    });

  /** Its WebSocket opens, and the screen is shown. */
  function show() {
    newest().socket.dispatchEvent(new Event('open'));
    newest().emit('connect');
  }

  async function staysAway(made: number) {
    await vi.advanceTimersByTimeAsync(600_000);
    expect(FakeRfb.made).toHaveLength(made);
  }

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    asked = [];
    server.use(
      http.get('*/websockify/view', ({ request }) => {
        asked.push(new URL(request.url).search);
        return answer();
      }),
    );
  });

  it.each([
    ['the session and its key', 's1'],
    ['the key alone, as before another machine’s ports', null],
  ])('fetches %s before it connects by number alone, and keeps it', async (_case, session) => {
    answer = shows(session, 'k1');
    connect(HERE);
    expect(FakeRfb.made).toHaveLength(0);
    await connects(KEYED);
    show();
    newest().drop();
    await connects(KEYED, KEYED);
    expect(asked).toEqual(['?token=6900', '?token=6900&key=k1']);
  });

  it('connects at once with a key, and stops for good when the session is over', async () => {
    answer = over;
    connect(KEYED);
    expect(urls()).toEqual([KEYED]);
    show();
    newest().drop();
    await isOver('over');
    expect(words()).toBe('The session of this screen is over.');
    await staysAway(1);
  });

  it.each([
    ['there is no such screen', () => refusal(404, 'vnc_not_found', 'No'), 'absent'],
    ['the address lacks its key', () => refusal(401, 'view_key_required', 'No'), 'locked'],
  ])('does not connect when %s', async (_case, refuse, kind) => {
    answer = refuse;
    connect(HERE);
    await isOver(kind);
    await staysAway(0);
  });

  it('believes only the third time in a row that a view does not exist, because the gateway may have just started', async () => {
    answer = () => refusal(404, 'vnc_not_found', 'No');
    connect(KEYED);
    show();
    newest().drop();
    await connects(KEYED, KEYED);
    newest().drop('', false);
    await connects(KEYED, KEYED, KEYED);
    newest().drop('', false);
    await isOver('absent');
    await staysAway(3);
  });

  it('does not follow a number to another session, where sessions have no keys', async () => {
    answer = shows('s1', null);
    connect(HERE);
    await connects(HERE);
    show();
    answer = shows('s2', null);
    newest().drop();
    await isOver('over');
    await staysAway(1);
  });

  it('learns the session of the screen as soon as the gateway knows it', async () => {
    answer = () => HttpResponse.error();
    connect(HERE);
    await connects(HERE);
    answer = shows('s1', 'k1');
    show();
    await wasAsked(2);
    // The info arrives before the connection is lost.
    await vi.advanceTimersByTimeAsync(100);
    newest().drop();
    await connects(HERE, KEYED);
  });

  it.each([
    ['named', 's2'],
    ['given a key', null],
  ])(
    'does not accept a session that was %s only after the connection was lost',
    async (_case, session) => {
      answer = () => HttpResponse.error();
      connect(HERE);
      await connects(HERE);
      show();
      await wasAsked(2);
      answer = shows(session, 'k2');
      newest().drop();
      await isOver('over');
      await staysAway(1);
    },
  );

  it.each([
    ['knows no sessions', shows(null, null)],
    ['is an original', () => HttpResponse.json({ detail: 'Not Found' }, { status: 404 })],
    ['does not answer', () => HttpResponse.error()],
  ])('continues by number where the gateway %s', async (_case, respond) => {
    answer = respond;
    connect(HERE);
    await connects(HERE);
    show();
    newest().drop();
    await willRetry();
    expect(statuses.at(-1)).toMatchObject({ loss: { kind: 'lost' } });
    await connects(HERE, HERE);
  });

  it('reports that WebSockets are blocked if none has ever opened', async () => {
    answer = shows('s1', 'k1');
    connect(KEYED);
    newest().drop('', false);
    await willRetry();
    expect(statuses.at(-1)).toMatchObject({ loss: { kind: 'blocked' } });
    expect(words()).toContain('does not forward WebSocket upgrades.');
    await connects(KEYED, KEYED);
    show();
    newest().drop('', false);
    await willRetry();
    expect(statuses.at(-1)).toMatchObject({ loss: { kind: 'unreadable' } });
  });

  it.each([
    ['with a key', KEYED],
    ['by number alone', HERE],
  ])('waits %s while the session is being restarted, and shows it again', async (_case, url) => {
    answer = shows('s1', 'k1');
    connect(url);
    await connects(KEYED);
    show();
    answer = () => refusal(503, 'restarting', 'The session is restarting');
    newest().drop('The session is being restarted');
    await willRetry();
    expect(words()).toBe('The session is being restarted. Trying again in 1\u00a0s.');
    const past = statuses.length;
    await vi.advanceTimersByTimeAsync(30_000);
    expect(FakeRfb.made).toHaveLength(1);
    expect(asked.length).toBeGreaterThan(10);
    for (const status of statuses.slice(past)) {
      expect(status).toMatchObject({ loss: { kind: 'restarting' } });
    }
    answer = shows('s1', 'k1');
    await connects(KEYED, KEYED);
    show();
    expect(statuses.at(-1)).toEqual({ state: 'connected' });
  });

  it('waits for a session that is being restarted when it is opened, and stops if it ends instead', async () => {
    answer = () => refusal(503, 'restarting', 'The session is restarting');
    connect(HERE);
    await willRetry();
    expect(statuses.at(-1)).toMatchObject({ loss: { kind: 'restarting' } });
    answer = over;
    await isOver('over');
    await staysAway(0);
  });

  it('ignores info that arrives after it was closed', async () => {
    answer = shows('s1', 'k1');
    connect(HERE);
    connection.close();
    await staysAway(0);
    expect(statuses).toEqual([{ state: 'connecting' }]);
  });
});

import { http, HttpResponse } from 'msw';
import { describe, expect, it } from 'vitest';

import { refusal, server } from '../test/server.ts';
import { fetchViewInfo, viewInfoUrl } from './viewInfo.ts';

const HERE = window.location.host;
const SHOWN = { session: '3f2b8c1e-0000-4000-8000-000000000001', key: 'k1' };

describe('viewInfoUrl', () => {
  it.each([
    [`ws://${HERE}/websockify?token=6900&key=k`, '/websockify/view?token=6900&key=k'],
    [`ws://${HERE}/a/b/websockify/?token=6900`, '/a/b/websockify/view?token=6900'],
  ])('is below the WebSocket %s', (socket, question) => {
    expect(viewInfoUrl(new URL(socket))?.href).toBe(`${window.location.origin}${question}`);
  });

  it.each([`wss://${HERE}/websockify`, 'ws://vnc.test/websockify'])(
    'is null for another origin, whose answers the page can’t read: %s',
    (socket) => {
      expect(viewInfoUrl(new URL(socket))).toBeNull();
    },
  );
});

describe('fetchViewInfo', () => {
  const question = new URL('/websockify/view?token=6900', window.location.origin);
  const ask = (
    respond: () => Response | Promise<Response>,
    signal = new AbortController().signal,
  ) => {
    server.use(http.get('*/websockify/view', respond));
    return fetchViewInfo(question, signal);
  };

  it.each([
    ['a session and its key', SHOWN],
    ['a session of a machine that gives no keys', { ...SHOWN, key: null }],
    ['nothing, at a gateway before another machine', { session: null, key: null }],
  ])('reads %s', async (_case, body) => {
    expect(await ask(() => HttpResponse.json(body))).toEqual({ state: 'shown', ...body });
  });

  it.each([
    [410, 'view_over', 'over'],
    [404, 'vnc_not_found', 'absent'],
    [401, 'unauthorized', 'locked'],
    [401, 'view_key_required', 'locked'],
    [503, 'restarting', 'restarting'],
    [503, 'draining', 'unknown'],
    [404, 'not_found', 'unknown'],
    [404, 'constructor', 'unknown'],
  ])('reads status %i with code %s as %s', async (status, code, state) => {
    expect(await ask(() => refusal(status, code, 'Because.'))).toEqual({ state });
  });

  it.each([
    ['an original’s 404', () => HttpResponse.json({ detail: 'Not Found' }, { status: 404 })],
    ['a proxy’s 401', () => HttpResponse.html('<h1>Who are you?</h1>', { status: 401 })],
    ['a page in its place', () => HttpResponse.html('<!doctype html><title>live view</title>')],
    ['other JSON', () => HttpResponse.json({ session: 6900 })],
    ['no object', () => HttpResponse.json(null)],
    ['a connection that breaks', () => HttpResponse.error()],
  ])('returns unknown for %s', async (_case, respond) => {
    expect(await ask(respond)).toEqual({ state: 'unknown' });
  });

  it('returns unknown when it is aborted', async () => {
    const stop = new AbortController();
    const answer = ask(() => {
      stop.abort();
      return new Promise<Response>(() => undefined);
    }, stop.signal);
    expect(await answer).toEqual({ state: 'unknown' });
  });
});

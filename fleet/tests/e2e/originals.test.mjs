/** Parts of the original and of camofleet work together. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe } from 'node:test';
import { firefox } from 'playwright-core';
import { Camofleet, pathOf, test } from './helpers/camofleet.mjs';
import { openSocket } from './helpers/http.mjs';
import { keyless } from './helpers/liveViews.mjs';
import { Original } from './helpers/originals.mjs';
import { CLIENT_HEADERS, USER_AGENT, blankPage } from './helpers/playwright.mjs';
import { Ranges } from './helpers/ranges.mjs';
import { startControl } from './helpers/roles.mjs';
import { until, within } from './helpers/wait.mjs';

const MEGABYTE = 1 << 20;
const SEEN = '2026-01-31T12:00:00.123Z';
const WISH = { headless: true, idle_ttl_seconds: 60, start_url: 'https://example.com/', start_url_wait: 'none', labels: { team: 'a' }, vnc: false };

/** Bytes and texts pass unchanged in both directions. */
async function relays(url, original) {
  const received = [];
  const { socket, closed } = await openSocket(url, {
    headers: CLIENT_HEADERS,
    onMessage: (data, isBinary) => received.push([data, isBinary]),
  });
  assert.ok(socket, 'the handshake is answered');
  const { 'user-agent': agent, 'x-playwright-browser': browser } = original.handshakes.at(-1);
  assert.deepEqual([agent, browser], [USER_AGENT, 'firefox']);
  const large = randomBytes(MEGABYTE);
  socket.send('{"id":1}');
  socket.send(large);
  socket.send('ж'.repeat(MEGABYTE / 2));
  await until(() => received.length === 3, 'three messages to come back');
  assert.deepEqual([received[0][0].toString(), received[0][1]], ['{"id":1}', false]);
  assert.ok(received[1][1] && received[1][0].equals(large), 'a message of 1 MB is echoed unchanged');
  assert.equal(received[2][0].toString(), 'ж'.repeat(MEGABYTE / 2));
  socket.close(1000);
  await within(closed, 'the socket to be closed');
}

/** The original's errors reach the caller unchanged. */
async function passesRefusals(ours, original, session) {
  for (const [status, detail, retryable] of [
    [404, 'Session not found', false],
    [409, 'Session is not ready', false],
    [503, 'No free VNC slots', true],
  ]) {
    original.refusal = [status, { detail }];
    for (const [method, path] of [['POST', '/sessions'], ['DELETE', pathOf(session)], ['POST', `${pathOf(session)}/touch`]]) {
      const answer = await ours.request(method, path, method === 'POST' && path === '/sessions' ? { body: {} } : {});
      assert.deepEqual([answer.status, answer.json.detail], [status, detail], `${method} ${path}`);
      assert.match(answer.json.code, /^[a-z_]+$/);
      assert.equal(answer.headers['retry-after'] !== undefined, retryable);
    }
  }
  original.refusal = null;
}

describe('our control over a worker of the original', () => {
  let original, control;
  before(async () => {
    original = await Original.start('worker');
    const vnc = { supports_vnc: true, vnc_ws: 'wss://vnc-{id}.example/live?h={host}', vnc_http: 'https://{host}:8443/proxy/{id}/view' };
    control = await startControl([{ name: 'old', url: original.url, ...vnc }], { CONTROL_POLL_INTERVAL_SECONDS: '0.2' });
  });
  after(async () => {
    await control?.stop();
    original?.close();
  });

  test('its sessions are created, listed, shown, touched and deleted', async () => {
    const session = await control.create({ ...WISH, worker: 'old' });
    assert.deepEqual(original.bodies.at(-1), WISH);
    const { status, browser, headless, idle_ttl_seconds: ttl, labels, worker, created_at: created, last_seen_at: seen, vnc_enabled: vnc } = session;
    assert.deepEqual([status, browser, headless, ttl, labels, worker, vnc], ['READY', 'camoufox', true, 60, { team: 'a' }, 'old', false]);
    assert.deepEqual([created, seen], [SEEN, SEEN]);
    assert.equal(session.ws_endpoint, `/sessions/old/${session.id}/ws`);
    assert.deepEqual(session.vnc, { ws: null, http: null, password_protected: false });
    assert.deepEqual(await control.sessions(), [session]);
    assert.deepEqual(await control.session(session), session);
    assert.deepEqual(await control.sessions({ ended: true }), []);

    const touched = await control.request('POST', `${pathOf(session)}/touch`);
    assert.deepEqual([touched.status, touched.json.last_seen_at], [200, '2026-01-31T12:00:30.000Z']);
    await control.end(session);
    assert.deepEqual(await control.sessions(), []);
    const [ended] = await control.sessions({ ended: true });
    assert.deepEqual([ended.id, ended.status, ended.end_reason], [session.id, 'DEAD', 'deleted']);
  });

  test('fields that it does not know are not sent to it, unless the request has them', async () => {
    const session = await control.create();
    assert.deepEqual(original.bodies.at(-1), { labels: {}, vnc: false });
    assert.deepEqual([session.headless, session.idle_ttl_seconds], [false, 300]);
    await control.end(session);
  });

  test('its live views have the addresses of the templates', async () => {
    const session = await control.create({ vnc: true });
    assert.deepEqual([original.bodies.at(-1).vnc, session.vnc_enabled], [true, true]);
    assert.deepEqual(session.vnc, { ws: 'wss://vnc-6903.example/live?h=127.0.0.1', http: 'https://127.0.0.1:8443/proxy/6903/view', password_protected: false });
    await control.end(session);
  });

  test('a client attaches', async () => {
    const session = await control.create();
    await relays(control.wsUrl + session.ws_endpoint, original);
    await control.end(session);
  });

  test('an error passes with its status and its text', async () => {
    await passesRefusals(control, original, await control.create());
    await control.endAllBut();
  });

  test('a session that ends by itself is removed from the list, and its worker stays healthy', async () => {
    await control.create();
    original.forget();
    await until(async () => (await control.sessions()).length === 0, 'the list to be empty', 3000);
    const [{ last_contact: contact, ...status }] = await control.read('/workers');
    assert.ok(Math.abs(Date.now() - Date.parse(contact)) < 5000, contact);
    assert.deepEqual(status, {
      name: 'old',
      healthy: true,
      supports_vnc: true,
      sessions: 0,
      stale: false,
      draining: false,
      url: original.url,
      detail: { status: 'ok', version: '0.1.0', checks: { playwright: 'ready', sessions: '1' }, failing: [], facts: null, insecure: null },
    });
  });
});

describe('our worker over a runner of the original', () => {
  let original, worker;
  before(async () => {
    original = await Original.start('runner');
    worker = await Camofleet.start('worker', { WORKER_RUNNER_BASE_URL: original.url, WORKER_SUPPORTS_VNC: 'true', WORKER_ID: 'ours', WORKER_POLL_INTERVAL_SECONDS: '0.2' });
  });
  after(async () => {
    await worker?.stop();
    original?.close();
  });

  test('it gets the defaults for fields that the request leaves out', async () => {
    const session = await worker.create();
    assert.deepEqual(original.bodies.at(-1), { headless: false, idle_ttl_seconds: 300, labels: {}, vnc: false });
    await worker.end(session);
    const settings = { WORKER_RUNNER_BASE_URL: original.url, WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS: '90', WORKER_SESSION_DEFAULTS__HEADLESS: 'true' };
    const other = await Camofleet.start('worker', settings);
    try {
      await other.create();
      assert.deepEqual(original.bodies.at(-1), { headless: true, idle_ttl_seconds: 90, labels: {}, vnc: false });
      const { facts } = await other.read('/health');
      assert.deepEqual(facts.defaults, { idle_ttl_seconds: 90, headless: true, start_url: null, start_url_wait: null });
      await other.endAllBut();
      await other.stop();
    } finally {
      other.discard();
    }
  });

  test('its sessions are shown as those of a worker', async () => {
    // Another worker of this runner had one, which the next poll no longer sees.
    await until(async () => (await worker.sessions()).length === 0, 'the sessions of other workers to be gone');
    const session = await worker.create(WISH);
    assert.deepEqual(original.bodies.at(-1), WISH);
    const { status, browser, headless, worker_id: id, created_at: created, last_seen_at: seen, vnc_enabled: vnc } = session;
    assert.deepEqual([status, browser, headless, id, created, seen, vnc], ['READY', 'camoufox', true, 'ours', SEEN, SEEN, false]);
    assert.equal(session.ws_endpoint, `/sessions/${session.id}/ws`);
    assert.deepEqual(await worker.sessions(), [session]);
    assert.deepEqual(await worker.session(session), session);
    const touched = await worker.request('POST', `${pathOf(session)}/touch`);
    assert.deepEqual([touched.status, touched.json.last_seen_at], [200, '2026-01-31T12:00:30.000Z']);
    await worker.end(session);
    assert.deepEqual(await worker.sessions(), []);
  });

  test('its live views keep their addresses', async () => {
    const session = await worker.create({ vnc: true });
    assert.deepEqual(session.vnc, { ws: 'ws://original:6900/websockify?token=6903', http: 'http://original:6900/vnc/6903', password_protected: false });
    await worker.end(session);
  });

  test('a client attaches at the address that the runner reports', async () => {
    const session = await worker.create();
    await relays(worker.wsUrl + session.ws_endpoint, original);
    await worker.end(session);
  });

  test('an error passes with its status and its text', async () => {
    await passesRefusals(worker, original, await worker.create());
    await worker.endAllBut();
  });
});

describe('what the original reads from ours', () => {
  const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)$/;
  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const isLinks = ({ ws, http, password_protected: asks }) => [ws, http].every((link) => link === null || typeof link === 'string') && typeof asks === 'boolean';
  /** The type of each field of a session, by the contract. */
  const COMMON = {
    id: (value) => UUID.test(value),
    status: (value) => ['INIT', 'READY', 'TERMINATING', 'DEAD'].includes(value),
    created_at: (value) => TIME.test(value),
    last_seen_at: (value) => TIME.test(value),
    headless: (value) => value === false,
    idle_ttl_seconds: (value) => value === 45,
    labels: (value) => value.team === 'a',
    start_url_wait: (value) => value === 'none',
  };
  const DETAILS = {
    runner: { ...COMMON, ws_endpoint: (value) => /^ws:\/\/127\.0\.0\.1:\d+\/\S+$/.test(value), vnc: (value) => value === true, vnc_info: isLinks },
    worker: {
      ...COMMON,
      browser: (value) => value === 'firefox',
      worker_id: (value) => value === 'ours',
      vnc_enabled: (value) => value === true,
      ws_endpoint: (value) => /^\/sessions\/[0-9a-f-]{36}\/ws$/.test(value),
      vnc: isLinks,
    },
  };

  function isDetail(role, detail) {
    for (const [field, isRight] of Object.entries(DETAILS[role])) assert.ok(isRight(detail[field]), `${role}: ${field} is ${JSON.stringify(detail[field])}`);
  }

  for (const role of ['worker', 'runner']) {
    test(`of a ${role}, below / and below /api: every field of the contract, in its form`, async () => {
      const ranges = await Ranges.claim();
      const settings = { WORKER_ID: 'ours', WORKER_SUPPORTS_VNC: 'true', RUNNER_VNC_HTTP_BASE: 'http://gateway:6900', RUNNER_VNC_WS_BASE: 'ws://gateway:6900' };
      const ours = await Camofleet.start(role, settings, { ranges });
      try {
        const body = { vnc: true, idle_ttl_seconds: 45, labels: { team: 'a' }, start_url_wait: 'none', unknown: 1 };
        const created = await ours.request('POST', '/api/sessions', { body });
        assert.equal(created.status, 201, created.text);
        const { id } = created.json;
        isDetail(role, created.json);
        const links = { ws: `ws://gateway:6900/websockify?token=${ranges.ids.first}`, http: `http://gateway:6900/vnc/${ranges.ids.first}`, password_protected: false };
        assert.deepEqual(keyless(role === 'worker' ? created.json.vnc : created.json.vnc_info), links);
        for (const root of ['', '/api']) {
          isDetail(role, await ours.read(`${root}/sessions/${id}`));
          const listed = await ours.read(`${root}/sessions`);
          assert.equal(listed.length, 1);
          isDetail(role, listed[0]);
          const touched = await ours.request('POST', `${root}/sessions/${id}/touch`);
          assert.equal(touched.status, 200);
          isDetail(role, touched.json);
          const { status, version, checks, ...additions } = await ours.read(`${root}/health`);
          assert.deepEqual([status, typeof version, Object.keys(additions)], ['ok', 'string', ['failing', 'facts', 'insecure']]);
          assert.ok(Object.values(checks).every((check) => typeof check === 'string'));
        }
        const endpoint = role === 'runner' ? created.json.ws_endpoint : ours.wsUrl + created.json.ws_endpoint;
        const client = await firefox.connect(endpoint, { timeout: 20_000 });
        assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
        await client.close();
        const deleted = await ours.request('DELETE', `/api/sessions/${id}`);
        assert.deepEqual([deleted.status, deleted.json], [200, { id, status: 'DEAD' }]);
        const gone = await ours.request('POST', `/sessions/${id}/touch`);
        assert.deepEqual([gone.status, gone.json.detail], [404, 'Session not found']);
        await ours.stop();
      } finally {
        ours.discard();
      }
    });
  }
});

/** The API's surface: views, both roots, CORS, metrics. */
import assert from 'node:assert/strict';
import os from 'node:os';
import { after, afterEach, before } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { keyless, keyOf } from './helpers/liveViews.mjs';
import { attach, blankPage, PLAYWRIGHT } from './helpers/playwright.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until } from './helpers/wait.mjs';

let server, site, session;
before(async () => {
  site = await Site.open({ '/': colouredPage([10, 20, 30]) });
  server = await Server.start();
  session = await server.create({ vnc: true, start_url: site.url, idle_ttl_seconds: 60, labels: { team: 'a', stage: 'b' } });
});
afterEach(() => server.endAllBut(session));
after(async () => {
  await server?.stop();
  await site?.close();
});

test('a session is described with every field of the contract', () => {
  const { id, created_at: created, last_seen_at: seen, browser_version: version, request_id: request, vnc_key: key, egress, ...rest } = { ...session, vnc: keyless(session.vnc) };
  assert.match(request, /^[0-9a-f]{16}$/);
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  for (const time of [created, seen]) {
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  }
  assert.equal(key, keyOf(session.vnc.ws));
  assert.match(version, /^\d+\.\d+/);
  assert.deepEqual(Object.keys(egress), ['bytes_up', 'bytes_down', 'connections', 'open_connections', 'refused']);
  assert.deepEqual(rest, {
    status: 'READY',
    browser: 'firefox',
    headless: false,
    idle_ttl_seconds: 60,
    labels: { team: 'a', stage: 'b' },
    worker: 'local',
    stale: false,
    vnc_enabled: true,
    vnc_id: server.firstVncId,
    start_url: site.url,
    start_url_wait: 'load',
    start_url_error: null,
    ws_endpoint: `/sessions/local/${id}/ws`,
    vnc: { ws: `/websockify?token=${server.firstVncId}`, http: `/vnc/${server.firstVncId}`, password_protected: false },
    attached: 0,
    restarts: 0,
    on_crash: 'restart',
    contexts: 'keep',
    identity: {
      ...{ locale: null, timezone: null, geolocation: null, screen: null, webrtc: null, block_images: false, user_preferences: {} },
      ...{ os: null, webgl: null, fonts: null, humanize: null, addons: null, main_world_eval: null, seed: null },
    },
    profile: null,
    profile_mode: null,
    contradictions: null,
    proxy: null,
    block: ['phone_home'],
    ended_at: null,
    end_reason: null,
    end_detail: null,
  });
});

test('everything answers below / and below /api alike', async () => {
  for (const route of ['/health', '/workers', `/sessions/local/${session.id}`, '/sessions', '/sessions?ended=true']) {
    let bare, prefixed;
    // What a browser that is loading a page has transferred may differ from one to the next.
    const isAlike = async () => {
      [bare, prefixed] = [await server.request('GET', route), await server.request('GET', `/api${route}`)];
      return isDeepStrictEqual(prefixed.json, bare.json);
    };
    await until(isAlike, `${route} to be alike`).catch(() => assert.deepEqual(prefixed.json, bare.json, route));
    assert.deepEqual([bare.status, prefixed.status], [200, 200], route);
  }
  const touched = await server.request('POST', `/api/sessions/local/${session.id}/touch`);
  assert.deepEqual([touched.status, touched.json.id], [200, session.id]);
  const client = await attach({ wsUrl: `${server.wsUrl}/api` }, session);
  await client.close();
  const viewer = await Viewer.connect(`${server.wsUrl}/api${session.vnc.ws}`);
  await viewer.close();
});

test('the public prefix of an ingress precedes the endpoint', async () => {
  const prefixed = await Server.start({ CONTROL_PUBLIC_API_PREFIX: '/api' });
  try {
    const view = await prefixed.create({ headless: true });
    assert.equal(view.ws_endpoint, `/api/sessions/local/${view.id}/ws`);
    const client = await attach(prefixed, view);
    assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
    await client.close();
    await prefixed.stop();
  } finally {
    prefixed.discard();
  }
});

test('a start URL that can not be opened is reported by its session, which stays READY', async () => {
  const closed = await Site.open();
  await closed.close();
  const failed = await server.create({ headless: true, start_url: closed.url });
  const view = await server.sessionThat(failed, ({ start_url_error: error }) => error !== null, 'told of its start URL');
  assert.match(view.start_url_error, /refused|CONNECTION/i);
  assert.equal(view.status, 'READY');
  await server.end(failed);
});

test('with start_url_wait none nothing is opened', async () => {
  const past = site.visits.length;
  const idle = await server.create({ headless: true, start_url: `${site.url}/none`, start_url_wait: 'none' });
  const client = await attach(server, idle);
  assert.deepEqual(client.contexts().map((context) => context.pages()), [[]]);
  await client.close();
  assert.deepEqual(site.visits.slice(past).filter((url) => url !== '/favicon.ico'), []);
  await server.end(idle);
});

test('health reports engine, display, driver and pools', async () => {
  const { status, workers } = (await server.request('GET', '/health')).json;
  const [{ detail, ...local }, ...others] = workers;
  assert.deepEqual([status, others], ['ok', []]);
  assert.deepEqual(local, {
    name: 'local',
    healthy: true,
    supports_vnc: true,
    sessions: 1,
    stale: false,
    draining: false,
    url: null,
    last_contact: null,
  });
  assert.deepEqual([detail.status, typeof detail.version, detail.failing], ['ok', 'string', []]);
  assert.match(detail.checks.engine, /^firefox \d+.*\(\/.*firefox-esr\)$/);
  assert.match(detail.checks.display, /^xvnc, 11 of 12 slots free$/);
  assert.ok(detail.checks.driver.includes(`playwright ${PLAYWRIGHT}`), detail.checks.driver);
  assert.deepEqual((await server.request('GET', '/workers')).json, workers);
});

test('the facts of a worker are the values of its checks', async () => {
  const [{ detail }] = await server.read('/workers');
  const { engine, node, started_at: started, ...facts } = detail.facts;
  assert.match(engine.version, /^\d+\.\d+/);
  assert.ok(detail.checks.engine.startsWith(`firefox ${engine.version} (`), detail.checks.engine);
  assert.ok(detail.checks.driver.endsWith(`node ${node}`), detail.checks.driver);
  const age = Date.now() - Date.parse(started);
  assert.ok(age >= 0 && age < 600_000, started);
  assert.deepEqual([engine.name, facts], [
    'firefox',
    {
      sessions: 1,
      capacity: 100,
      defaults: { idle_ttl_seconds: 300, headless: false, start_url: null, start_url_wait: 'load' },
      playwright: PLAYWRIGHT,
      pools: {},
      egress: {
        policy: 'no-fleet',
        proxies: [],
        default_proxy: null,
        block_lists: ['phone_home'],
        default_block: ['phone_home'],
        checks_proxies: false,
        city_database: facts.egress.city_database,
      },
      identity: ['locale', 'timezone', 'geolocation', 'screen', 'webrtc', 'block_images'],
      machines: null,
      profiles: { count: 0, shared: false, revision: facts.profiles.revision },
      slots: { used: 1, total: 12 },
      drivers: 1,
      draining: false,
      host_name: os.hostname(),
    },
  ]);
});

test('the metrics count what has happened', async () => {
  const viewer = await Viewer.connect(server.wsUrl + session.vnc.ws);
  const client = await attach(server, session);
  await server.end(await server.create({ headless: true }));
  const answer = await server.request('GET', '/metrics');
  assert.match(answer.headers['content-type'], /^text\/plain/);
  const metrics = await server.metrics();
  const types = {
    camofleet_sessions: 'gauge',
    camofleet_session_creates_total: 'counter',
    camofleet_session_create_seconds: 'histogram',
    camofleet_session_ends_total: 'counter',
    camofleet_session_delete_seconds: 'histogram',
    camofleet_launches_total: 'counter',
    camofleet_launch_seconds: 'histogram',
    camofleet_display_ready_seconds: 'histogram',
    camofleet_slots: 'gauge',
    camofleet_drivers: 'gauge',
    camofleet_attachments: 'gauge',
    camofleet_tunnels: 'gauge',
    camofleet_relay_bytes_total: 'counter',
  };
  for (const [family, type] of Object.entries(types)) assert.equal(metrics.families.get(family), type, family);
  for (const [name, labels, value] of [
    ['camofleet_sessions', { worker: 'local', status: 'READY' }, 1],
    ['camofleet_sessions', { worker: 'local', status: 'INIT' }, 0],
    ['camofleet_attachments', {}, 1],
    ['camofleet_tunnels', {}, 1],
    ['camofleet_drivers', {}, 1],
    ['camofleet_slots', { state: 'used' }, 1],
    ['camofleet_slots', { state: 'free' }, 11],
  ]) {
    assert.equal(metrics.value(name, labels), value, `${name} ${JSON.stringify(labels)}`);
  }
  assert.ok(metrics.value('camofleet_session_creates_total', { outcome: 'ok' }) >= 2);
  assert.ok(metrics.value('camofleet_session_ends_total', { reason: 'deleted' }) >= 1);
  assert.ok(metrics.value('camofleet_launches_total', { kind: 'display', outcome: 'ok' }) >= 1);
  assert.ok(metrics.value('camofleet_relay_bytes_total', { kind: 'vnc', direction: 'out' }) > 0);
  await client.close();
  await viewer.close();
});

test('a page of another origin may use the API only if its origin is listed, and with * it may read', async () => {
  const headers = { origin: 'https://panel.example' };
  const stranger = await server.request('GET', '/sessions', { headers });
  assert.deepEqual([stranger.status, stranger.json.code, stranger.headers['access-control-allow-origin']], [403, 'cross_origin', undefined]);
  const open = await Server.start({ CONTROL_CORS_ORIGINS: '*' }, { healthy: false });
  try {
    const read = await open.request('GET', '/sessions', { headers });
    assert.deepEqual([read.status, read.headers['access-control-allow-origin'], read.headers['access-control-allow-credentials']], [200, '*', undefined]);
    assert.equal((await open.request('POST', '/sessions', { headers })).json.code, 'cross_origin');
    assert.ok(open.logLines().some((line) => / WARN .*CONTROL_CORS_ORIGINS is \*/.test(line)), open.log());
    await open.stop();
  } finally {
    open.discard();
  }
  const strict = await Server.start({ CONTROL_CORS_ORIGINS: 'https://panel.example,https://other.example' }, { healthy: false });
  try {
    const allowed = await strict.request('GET', '/health', { headers });
    assert.equal(allowed.headers['access-control-allow-origin'], 'https://panel.example');
    assert.equal(allowed.headers['access-control-allow-credentials'], 'true');
    const preflight = { ...headers, 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'authorization' };
    const asked = await strict.request('OPTIONS', '/sessions/local/x', { headers: preflight });
    assert.equal(asked.status, 200, asked.text);
    assert.match(asked.headers['access-control-allow-methods'], /DELETE/);
    assert.match(asked.headers['access-control-allow-headers'].toLowerCase(), /authorization/);
    const stranger = await strict.request('GET', '/health', { headers: { origin: 'https://evil.example' } });
    assert.equal(stranger.headers['access-control-allow-origin'], undefined);
    await strict.stop();
  } finally {
    strict.discard();
  }
});

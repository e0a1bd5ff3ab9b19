// The effects of each setting of `serve`. Parsing, layers and errors of settings are unit tests of the
// binary; the other roles' settings have their own tests.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe } from 'node:test';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { keyless } from './helpers/liveViews.mjs';
import { CLIENT_HEADERS, attach, blankPage } from './helpers/playwright.mjs';
import { browsers, drivers } from './helpers/processes.mjs';
import { Server, run, test } from './helpers/server.mjs';
import { Site } from './helpers/site.mjs';
import { until } from './helpers/wait.mjs';
import WebSocket from 'ws';

let site;
before(async () => (site = await Site.open({ '/': '<title>start</title>' })));
after(() => site?.close());

/** The preferences that a session's browser was started with. */
function preferences({ argv }) {
  const profile = argv[argv.indexOf('--profile') + 1];
  return fs.readFileSync(path.join(profile, 'user.js'), 'utf8');
}

describe('with settings that differ from the defaults', () => {
  let server, session;
  before(async () => {
    server = await Server.start({
      RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS: '77',
      RUNNER_SESSION_DEFAULTS__HEADLESS: 'true',
      RUNNER_SESSION_DEFAULTS__START_URL: `${site.url}/?default`,
      RUNNER_START_URL_WAIT: 'domcontentloaded',
      RUNNER_DISABLE_HTTP3: 'false',
      RUNNER_DISABLE_IPV6: 'false',
      RUNNER_DISABLE_WEBRTC: 'false',
      RUNNER_RESTART_LIMIT: '1',
      // Longer than any launch here, so that the third crash is within the second's window.
      RUNNER_RESTART_WINDOW_SECONDS: '20',
      RUNNER_VNC_HTTP_BASE: 'https://screens.example/a',
      RUNNER_VNC_WS_BASE: 'wss://screens.example/b',
      CONTROL_METRICS_ENDPOINT: '/ops/numbers',
      CONTROL_WS_PING_SECONDS: '1',
    });
    session = await server.create({ on_crash: 'restart' });
  });
  after(() => server?.stop());

  test('a session gets the defaults for fields that its request leaves out', async () => {
    const { headless, idle_ttl_seconds, start_url, start_url_wait } = session;
    assert.deepEqual({ headless, idle_ttl_seconds, start_url, start_url_wait }, { headless: true, idle_ttl_seconds: 77, start_url: `${site.url}/?default`, start_url_wait: 'domcontentloaded' });
    await site.visit(/^\/\?default$/);
  });

  test('disabled network switches leave their features on', async () => {
    const [browser] = browsers(server.runBase);
    const written = preferences(browser);
    for (const name of ['network.http.http3.enable', 'media.peerconnection.enabled']) {
      assert.ok(!written.includes(name), `${name} is set`);
    }
    const client = await attach(server, session);
    const page = await blankPage(client);
    await page.goto(site.url);
    assert.equal(await page.evaluate(() => typeof RTCPeerConnection), 'function');
    await client.close();
  });

  test('the metrics are where the setting says, and nowhere else', async () => {
    const moved = await server.request('GET', '/ops/numbers');
    assert.deepEqual([moved.status, moved.text.includes('camofleet_sessions{')], [200, true]);
    assert.equal((await server.request('GET', '/api/ops/numbers')).status, 200);
    assert.equal((await server.request('GET', '/metrics')).status, 404);
  });

  test('a silent client is pinged at the configured interval', async () => {
    const socket = new WebSocket(server.wsUrl + session.ws_endpoint, { headers: CLIENT_HEADERS });
    let pings = 0;
    socket.on('ping', () => (pings += 1));
    await until(() => pings >= 2, 'two pings', 6000);
    socket.terminate();
  });

  test('live views are published under the bases', async () => {
    const viewed = await server.create({ vnc: true, start_url_wait: 'none' });
    const id = viewed.vnc_id;
    assert.deepEqual(keyless(viewed.vnc), { http: `https://screens.example/a/vnc/${id}`, ws: `wss://screens.example/b/websockify?token=${id}`, password_protected: false });
    await server.end(viewed);
  });

  test('restarts are counted within the window, and limited', async () => {
    const kill = () => process.kill(browsers(server.runBase)[0].pid, 'SIGKILL');
    kill();
    await server.sessionThat(session, ({ restarts, status }) => restarts === 1 && status === 'READY', 'restarted');
    // The window of the first restart is over, so this is the first of another.
    await delay(20_100);
    kill();
    await server.sessionThat(session, ({ restarts, status }) => restarts === 2 && status === 'READY', 'restarted again');
    kill();
    const ended = await server.ended(session);
    assert.deepEqual([ended.end_reason, ended.end_detail.includes('after 1 restarts in 20 s')], ['crashed', true]);
  });
});

test('by default browsers have neither HTTP/3 nor WebRTC, and never look up names', async () => {
  const server = await Server.start({ WORKER_SESSION_DEFAULTS__IDLE_TTL_SECONDS: '88', WORKER_SESSION_DEFAULTS__HEADLESS: 'true', RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS: '77' });
  const session = await server.create();
  // A worker's defaults take precedence over its runner's.
  assert.deepEqual([session.idle_ttl_seconds, session.headless], [88, true]);
  const written = preferences(browsers(server.runBase)[0]);
  for (const line of ['"network.http.http3.enable", false', '"network.dns.disableIPv6", true', '"media.peerconnection.enabled", false']) {
    assert.ok(written.includes(line), `${line} is missing in\n${written}`);
  }
  const client = await attach(server, session);
  const page = await blankPage(client);
  await page.goto(site.url);
  assert.equal(await page.evaluate(() => typeof RTCPeerConnection), 'undefined');
  await client.close();
  await server.stop();
});

test('network diagnostics show the result for each URL, and degrade nothing', async () => {
  const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const never = `http://127.0.0.1:${silent.address().port}/`;
  const server = await Server.start({ RUNNER_NETWORK_DIAGNOSTICS: `${site.url}/, ${never}`, RUNNER_DIAGNOSTICS_TIMEOUT_SECONDS: '0.5' });
  const said = (url) => async () => /^(?!being)/.test((await server.checks())[`network ${url}`]) && (await server.checks())[`network ${url}`];
  assert.match(await until(said(`${site.url}/`), 'the site to be looked at'), /^200 in \d+ ms$/);
  assert.equal(await until(said(never), 'the other to be given up', 5000), 'failed: no answer within 0.5 s');
  assert.equal((await server.request('GET', '/health')).json.status, 'ok');
  await server.stop();
  silent.close();
});

test('without WORKER_SUPPORTS_VNC live views are refused, also where they would work', async () => {
  const server = await Server.start({ WORKER_SUPPORTS_VNC: 'false' });
  const refused = await server.request('POST', '/sessions', { body: { vnc: true } });
  assert.deepEqual([refused.status, refused.json.code], [503, 'no_vnc_tooling']);
  const named = await server.request('POST', '/sessions', { body: { vnc: true, worker: 'local' } });
  assert.deepEqual([named.status, named.json.code], [400, 'vnc_unsupported']);
  await server.stop();
});

test('at shutdown sessions have the configured time', async () => {
  const server = await Server.start({ RUNNER_SHUTDOWN_TIMEOUT_SECONDS: '0.2' });
  await server.create({ vnc: true });
  // The session's end waits for its driver, which no longer answers.
  for (const { pid } of drivers(server.runBase)) process.kill(pid, 'SIGSTOP');
  const started = Date.now();
  server.kill('SIGTERM');
  const end = await server.awaitEnd();
  assert.deepEqual(end, { code: 0, signal: null });
  assert.ok(Date.now() - started < 3000, `it took ${Date.now() - started} ms`);
  await server.stop();
});

test('a Camoufox path that does not exist is a start error', async () => {
  const { status, stderr } = await run(['serve'], { RUNNER_ENGINE: 'camoufox', RUNNER_CAMOUFOX_PATH: '/nowhere/camoufox-bin' });
  assert.equal(status, 69);
  assert.match(stderr, /RUNNER_CAMOUFOX_PATH/);
});

test('it listens on the configured host', async () => {
  const server = await Server.start({ CONTROL_HOST: '127.0.0.2' });
  assert.match(server.url, /^http:\/\/127\.0\.0\.2:/);
  await server.stop();
});

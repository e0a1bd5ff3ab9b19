/** Invalid requests are refused with the contract's status and code, as JSON, before any upgrade. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe } from 'node:test';
import { openSocket } from './helpers/http.mjs';
import { CLIENT_HEADERS } from './helpers/playwright.mjs';
import { browsers, drivers, launchDirectories, xServers } from './helpers/processes.mjs';
import { pathWith, standIn } from './helpers/programs.mjs';
import { Server, temporaryDirectory, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

const NOBODY = '00000000-0000-4000-8000-000000000000';
const HEADERS = CLIENT_HEADERS;

let directory;
before(() => (directory = temporaryDirectory()));
after(() => fs.rmSync(directory, { recursive: true, force: true }));

/** Expects a JSON error with this status and code; returns its text. */
function isError(answer, status, code) {
  assert.deepEqual([answer.status, answer.json?.code], [status, code], answer.text);
  assert.match(answer.headers['content-type'], /^application\/json/);
  assert.equal(typeof answer.json.detail, 'string');
  return answer.json.detail;
}

/** Expects that a WebSocket is refused before the upgrade; returns the text. */
async function isRefused(url, status, code, options = { headers: HEADERS }) {
  const { refusal } = await openSocket(url, options);
  assert.ok(refusal, `${url} was served`);
  return isError(refusal, status, code);
}

/** Runs a body with its own server. */
const withServer = (settings, body, options) => async () => {
  const server = await Server.start(settings, options);
  try {
    await body(server);
    await server.stop();
  } finally {
    server.discard();
  }
};

/** Nothing is left of a failed launch. */
async function nothingBegan(server) {
  await until(() => browsers(server.runBase).length + xServers(server.runBase).length === 0, 'the failed launch to be gone', 2000);
  await until(async () => (await server.usedSlots()) === 0, 'its slot to be back', 2000);
  assert.deepEqual(launchDirectories(server.runBase), []);
  assert.deepEqual(await server.sessions(), []);
}

describe('an invalid request', () => {
  let server;
  before(async () => (server = await Server.start()));
  after(() => server?.stop());

  const create = (body) => server.request('POST', '/sessions', { body });

  for (const [field, value, right] of [
    ['headless', 'yes', /true or false/],
    ['vnc', 1, /true or false/],
    ['idle_ttl_seconds', 29, /0, or a whole number from 30 to 2592000/],
    ['idle_ttl_seconds', 3601, /30 to 3600/],
    ['idle_ttl_seconds', '60', /0, or a whole number from 30 to 2592000/],
    ['idle_ttl_seconds', 60.5, /whole number/],
    ['start_url', 5, /string/],
    ['start_url', 'x'.repeat(1025), /1024/],
    ['start_url_wait', 'networkidle', /"none".*"domcontentloaded".*"load"/],
    ['labels', ['a'], /object of strings/],
    ['on_crash', 'explode', /"restart".*"end"/],
    ['contexts', true, /"keep".*"discard"/],
    ['worker', 1, /string/],
  ]) {
    test(`422: ${field} = ${JSON.stringify(value).slice(0, 20)}`, async () => {
      const detail = isError(await create({ [field]: value }), 422, 'invalid_field');
      assert.ok(detail.startsWith(`${field}: `), detail);
      assert.match(detail, right);
    });
  }

  test('422: a label that is not a string is named with its key', async () => {
    assert.match(isError(await create({ labels: { team: 1 } }), 422, 'invalid_field'), /^labels\.team: /);
  });

  test('422: a body that is not a JSON object', async () => {
    for (const body of ['{', '[]', '"text"', 'null', '5']) isError(await create(body), 422, 'invalid_json');
  });

  test('422: a query parameter that is neither true nor false', async () => {
    assert.match(isError(await server.request('GET', '/sessions?ended=maybe'), 422, 'invalid_field'), /^ended: /);
  });

  test('413: a body over 64 KiB', async () => {
    isError(await create({ labels: { long: 'x'.repeat(64 << 10) } }), 413, 'body_too_large');
  });

  test('404: sessions, workers and routes that do not exist', async () => {
    for (const [method, route, code] of [
      ['GET', `/sessions/local/${NOBODY}`, 'session_not_found'],
      ['DELETE', `/sessions/local/${NOBODY}`, 'session_not_found'],
      ['POST', `/sessions/local/${NOBODY}/touch`, 'session_not_found'],
      ['GET', '/sessions/local/no-uuid', 'session_not_found'],
      ['GET', `/sessions/mars/${NOBODY}`, 'worker_not_found'],
      ['GET', '/no/such/route', 'not_found'],
      ['GET', '/api/no/such/route', 'not_found'],
      ['GET', '/assets/none.js', 'not_found'],
      ['POST', '/', 'not_found'],
    ]) {
      isError(await server.request(method, route), 404, code);
    }
    isError(await create({ worker: 'mars' }), 404, 'worker_not_found');
    assert.equal((await server.request('GET', `/sessions/local/${NOBODY}`)).json.detail, 'Session not found');
    assert.equal((await server.request('GET', `/sessions/mars/${NOBODY}`)).json.detail, 'Worker not found');
  });

  test('405: other methods of a route', async () => {
    for (const [method, route] of [
      ['PUT', '/sessions'],
      ['DELETE', '/sessions'],
      ['POST', '/health'],
      ['POST', '/workers'],
      ['PUT', `/sessions/local/${NOBODY}`],
      ['GET', `/sessions/local/${NOBODY}/touch`],
      ['DELETE', '/metrics'],
    ]) {
      isError(await server.request(method, route), 405, 'method_not_allowed');
    }
  });

  test('400: a WebSocket route without a handshake', async () => {
    for (const route of [`/sessions/local/${NOBODY}/ws`, '/websockify?token=1']) {
      isError(await server.request('GET', route), 400, 'bad_websocket_handshake');
    }
    const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '8' };
    isError(await server.request('GET', `/sessions/local/${NOBODY}/ws`, { headers }), 400, 'bad_websocket_handshake');
  });

  test('404 before the upgrade: WebSockets of missing sessions', async () => {
    const { wsUrl } = server;
    assert.equal(await isRefused(`${wsUrl}/sessions/local/${NOBODY}/ws`, 404, 'session_not_found'), 'Session not found');
    await isRefused(`${wsUrl}/sessions/mars/${NOBODY}/ws`, 404, 'worker_not_found');
    await isRefused(`${wsUrl}/websockify?token=${server.firstVncId}`, 404, 'vnc_not_found');
    await isRefused(`${wsUrl}/websockify?token=abc`, 404, 'vnc_not_found');
    await isRefused(`${wsUrl}/websockify`, 404, 'vnc_not_found');
    await isRefused(`${wsUrl}/nothing`, 404, 'not_found');
  });

  test('409: a session that is not READY refuses clients, and one deleted while it starts is cancelled', async () => {
    const creating = create({ headless: true });
    const session = await until(async () => (await server.sessions()).find(({ status }) => status === 'INIT'), 'the session to be there');
    assert.match(await isRefused(server.wsUrl + session.ws_endpoint, 409, 'session_not_ready'), /INIT/);
    const deleted = await server.request('DELETE', `/sessions/local/${session.id}`);
    assert.equal(deleted.status, 200, deleted.text);
    isError(await creating, 409, 'session_cancelled');
    await nothingBegan(server);
  });

  test('428: a Playwright client of another version gets the right one in the error', async () => {
    const session = await server.create({ headless: true });
    const headers = { ...CLIENT_HEADERS, 'user-agent': 'Playwright/1.40.0 (x64; debian 12) node/20' };
    const detail = await isRefused(server.wsUrl + session.ws_endpoint, 428, 'playwright_version_mismatch', { headers });
    assert.match(detail, /1\.40.*1\.62/);
    const { attached, last_seen_at: seen } = await server.session(session);
    assert.deepEqual([attached, seen], [0, session.last_seen_at]);
    await server.end(session);
    const history = await server.read(`/sessions/local/${session.id}/events`);
    const changes = history.map(({ change }) => change);
    assert.ok(changes.includes('ended'));
    assert.ok(!changes.includes('attached') && !changes.includes('detached'), `${changes}`);
    const line = server.logLines().find((logged) => logged.includes(session.id) && /client (attached|left)/.test(logged));
    assert.equal(line, undefined);
  });
});

test('401: where a token is set, REST and WebSockets require it, in the header or the query', withServer({ CONTROL_API_TOKEN: 's3cret' }, async (server) => {
  const ws = `/sessions/local/${NOBODY}/ws`;
  const right = { authorization: 'Bearer s3cret' };
  for (const headers of [{}, { authorization: 'Bearer other' }, { authorization: 's3cret' }]) {
    for (const [method, route] of [['GET', '/sessions'], ['POST', '/sessions'], ['GET', '/workers'], ['GET', '/metrics'], ['DELETE', `/sessions/local/${NOBODY}`]]) {
      isError(await server.request(method, route, { headers }), 401, 'unauthorized');
    }
    for (const route of [ws, '/websockify?token=1']) await isRefused(server.wsUrl + route, 401, 'unauthorized', { headers });
  }
  assert.equal((await server.request('GET', '/sessions', { headers: right })).status, 200);
  assert.equal((await server.request('GET', '/api/sessions?access_token=s3cret')).status, 200);
  await isRefused(server.wsUrl + ws, 404, 'session_not_found', { headers: right });
  await isRefused(`${server.wsUrl}${ws}?access_token=s3cret`, 404, 'session_not_found');
  await isRefused(`${server.wsUrl}/websockify?token=1&access_token=s3cret`, 404, 'vnc_not_found');
  // Probes and the panel's page need no token.
  for (const route of ['/health', '/']) assert.equal((await server.request('GET', route)).status, 200);
}));

test('429: at capacity a request is refused with Retry-After, and accepted then', withServer({ RUNNER_MAX_SESSIONS: '1' }, async (server) => {
  const session = await server.create({ headless: true });
  const answer = await server.request('POST', '/sessions', { body: { headless: true } });
  assert.match(isError(answer, 429, 'at_capacity'), /RUNNER_MAX_SESSIONS/);
  assert.ok(Number(answer.headers['retry-after']) >= 1);
  await server.end(session);
  await server.end(await server.create({ headless: true }));
}));

test('503: without a free slot there is no live view, and above the limit of viewers no tunnel', withServer(
  { MAX_CONCURRENT_SESSIONS: '1' },
  async (server) => {
    const session = await server.create({ vnc: true });
    const answer = await server.request('POST', '/sessions', { body: { vnc: true } });
    assert.match(isError(answer, 503, 'no_slot'), /RUNNER_VNC_DISPLAY_MIN/);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    const { socket, closed } = await openSocket(server.wsUrl + session.vnc.ws);
    assert.match(await isRefused(server.wsUrl + session.vnc.ws, 503, 'tunnel_limit'), /MAX_CONCURRENT_SESSIONS/);
    socket.close();
    await closed;
    await server.end(session);
    await server.end(await server.create({ vnc: true }));
  },
  { slots: 1 },
));

test('503 and 400: without display tools a live view is refused, and everything else works', async () => {
  await withServer({ PATH: pathWith(directory, 'node', 'firefox-esr') }, async (server) => {
    isError(await server.request('POST', '/sessions', { body: { vnc: true } }), 503, 'no_vnc_tooling');
    const named = { vnc: true, worker: 'local' };
    assert.match(isError(await server.request('POST', '/sessions', { body: named }), 400, 'vnc_unsupported'), /supports_vnc/);
    const session = await server.create({ headless: false });
    assert.deepEqual([session.headless, session.vnc_enabled], [true, false]);
    await server.end(session);
  })();
});

test('502: a browser that exits at its start is an error with its exit status, and leaves nothing', withServer({ RUNNER_FIREFOX_PATH: '/bin/false' }, async (server) => {
  const detail = isError(await server.request('POST', '/sessions', { body: { headless: true } }), 502, 'launch_failed');
  assert.match(detail, /exit status 1|code 1|status 1/);
  await nothingBegan(server);
  const [ended] = await server.sessions({ ended: true });
  assert.equal(ended.end_reason, 'launch_failed');
}));

test('a driver that dies during a launch: on_crash launches again, or makes it a 502 that leaves nothing', withServer({}, async (server) => {
  const again = server.request('POST', '/sessions', { body: { headless: true } });
  await until(() => browsers(server.runBase).length > 0, 'the browser to be on its way');
  process.kill(drivers(server.runBase)[0].pid, 'SIGKILL');
  const { status, json, text } = await again;
  assert.deepEqual([status, json.restarts], [201, 1], text);
  await server.end(json);
  const creating = server.request('POST', '/sessions', { body: { headless: true, on_crash: 'end' } });
  await until(() => browsers(server.runBase).length > 0, 'the browser to be on its way');
  process.kill(drivers(server.runBase)[0].pid, 'SIGKILL');
  isError(await creating, 502, 'driver_lost');
  await nothingBegan(server);
  await until(async () => (await server.request('GET', '/health')).json.status === 'ok', 'a new driver');
  await server.end(await server.create({ headless: true }));
}));

test('504: a browser that takes too long is given up in time, and leaves nothing', async () => {
  const sleeper = standIn(directory, 'firefox', 'echo "no place for my settings" >&2; exec sleep 600');
  await withServer({ RUNNER_FIREFOX_PATH: sleeper, RUNNER_LAUNCH_TIMEOUT_SECONDS: '2' }, async (server) => {
    const started = Date.now();
    const detail = isError(await server.request('POST', '/sessions', { body: { vnc: true } }), 504, 'launch_timed_out');
    assert.match(detail, /it printed: no place for my settings; raise RUNNER_LAUNCH_TIMEOUT_SECONDS/);
    assert.ok(Date.now() - started < 6000, `it took ${Date.now() - started} ms`);
    await nothingBegan(server);
  })();
});

test('502 and 504: an X server that exits, or does not become ready, is an error, and leaves nothing', async () => {
  for (const [script, status, code, says] of [
    ['echo "no screens found" >&2; exit 3', 502, 'display_failed', /no screens found/],
    ['exec sleep 600', 504, 'launch_timed_out', /RUNNER_VNC_STARTUP_TIMEOUT_SECONDS/],
  ]) {
    const bin = path.dirname(standIn(directory, 'Xvnc', script));
    const settings = { PATH: `${bin}:${process.env.PATH}`, RUNNER_VNC_STARTUP_TIMEOUT_SECONDS: '1', RUNNER_VNC_BACKEND: 'xvnc' };
    await withServer(settings, async (server) => {
      assert.match(isError(await server.request('POST', '/sessions', { body: { vnc: true } }), status, code), says);
      await nothingBegan(server);
    })();
  }
});

/** Every setting of the roles has an effect. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe } from 'node:test';
import { Camofleet, PREFIXES, pathOf, run, test } from './helpers/camofleet.mjs';
import { request } from './helpers/http.mjs';
import { Original } from './helpers/originals.mjs';
import { startControl } from './helpers/roles.mjs';
import { until } from './helpers/wait.mjs';

/** Nothing listens on port 1 of loopback. */
const NOBODY = 'http://127.0.0.1:1';
const ORIGIN = 'https://panel.example';

let original;
before(async () => (original = await Original.start('worker')));
after(() => original?.close());

/** Runs a body with a process of a role, which need not be healthy. */
async function withRole(role, settings, body) {
  const camofleet = await Camofleet.start(role, settings, { healthy: false });
  try {
    await body(camofleet);
    await camofleet.stop();
  } finally {
    camofleet.discard();
  }
}

/** The same with a control over some workers. */
async function withControl(workers, settings, body) {
  await withRole('control', { CONTROL_WORKERS: JSON.stringify(workers), ...settings }, async (control) => {
    const settled = async () => (await control.read('/workers')).every(({ detail }) => !/not answered yet/.test(detail.error));
    await until(settled, 'all workers to be looked at');
    await body(control);
  });
}

/** The settings that a role needs to start. */
const NEEDS = { control: { CONTROL_WORKERS: '[]' }, worker: { WORKER_RUNNER_BASE_URL: NOBODY }, runner: {}, gateway: {} };

for (const [role, needs] of Object.entries(NEEDS)) {
  const [host, port] = [`${PREFIXES[role]}_HOST`, `${PREFIXES[role]}_PORT`];

  test(`${role}: ${host} and ${port} are the listening address, and a port in use is reported`, async () => {
    await withRole(role, { ...needs, [host]: '127.0.0.3' }, async (camofleet) => {
      assert.match(camofleet.url, /^http:\/\/127\.0\.0\.3:\d+$/);
      const taken = new URL(camofleet.url).port;
      const second = await run([role], { ...needs, [host]: '127.0.0.3', [port]: taken });
      assert.equal(second.status, 69, second.stderr);
      for (const part of [`127.0.0.3:${taken}`, port]) assert.ok(second.stderr.includes(part), second.stderr);
      assert.equal(second.stdout, '');
    });
  });

  test(`${role}: an invalid port is a start error`, async () => {
    const { status, stderr } = await run([role], { ...needs, [port]: '70000' });
    assert.equal(status, 64, stderr);
    for (const part of [port, '70000', '65535']) assert.ok(stderr.includes(part), stderr);
  });

  test(`${role}: an unknown path is a JSON 404 with the request id, and a wrong method a 405`, async () => {
    await withRole(role, needs, async (camofleet) => {
      const answer = await camofleet.request('GET', '/nowhere', { headers: { 'x-request-id': 'lost' } });
      assert.deepEqual([answer.status, answer.json.code, answer.headers['x-request-id']], [404, 'not_found', 'lost']);
      assert.equal((await camofleet.request('DELETE', '/health')).status, 405);
    });
  });

  if (role === 'gateway') continue;
  const [cors, endpoint] = [`${PREFIXES[role]}_CORS_ORIGINS`, `${PREFIXES[role]}_METRICS_ENDPOINT`];

  test(`${role}: ${cors} and ${endpoint}`, async () => {
    const allowed = async (camofleet, origin) => (await camofleet.request('GET', '/health', { headers: { origin } })).headers['access-control-allow-origin'];
    await withRole(role, { ...needs, [cors]: ORIGIN, [endpoint]: '/internal/numbers' }, async (camofleet) => {
      assert.deepEqual([await allowed(camofleet, ORIGIN), await allowed(camofleet, 'https://evil.example')], [ORIGIN, undefined]);
      for (const root of ['', '/api']) {
        const metrics = await camofleet.request('GET', `${root}/internal/numbers`);
        assert.match(metrics.text, /^# TYPE camofleet_/m);
      }
      assert.equal((await camofleet.request('GET', '/metrics')).status, 404);
    });
    await withRole(role, needs, async (camofleet) => assert.equal(await allowed(camofleet, ORIGIN), undefined));
  });
}

describe('a worker', () => {
  test('WORKER_SUPPORTS_VNC unset: a live view is refused, with a remote runner and without', async () => {
    for (const settings of [{}, NEEDS.worker]) {
      await withRole('worker', settings, async (worker) => {
        const answer = await worker.request('POST', '/sessions', { body: { vnc: true } });
        assert.deepEqual([answer.status, answer.json.code], [400, 'vnc_unsupported'], answer.text);
      });
    }
  });

  test('WORKER_REQUEST_TIMEOUT, WORKER_CREATE_TIMEOUT and WORKER_POLL_INTERVAL_SECONDS', async () => {
    const runner = await Original.start('runner');
    const settings = {
      WORKER_RUNNER_BASE_URL: runner.url,
      WORKER_REQUEST_TIMEOUT: '0.4',
      WORKER_CREATE_TIMEOUT: '0.8',
      WORKER_POLL_INTERVAL_SECONDS: '0.1',
    };
    await withRole('worker', settings, async (worker) => {
      await keepsItsTimeouts(worker, runner);
      await pollsOften(worker, runner);
    });
    runner.close();
  });
});

/** A touch times out after 0.4 s and a create after 0.8 s. */
async function keepsItsTimeouts(ours, theirs) {
  await until(async () => (await ours.request('GET', '/health')).json.status === 'ok', 'it to be healthy');
  const session = await ours.create();
  theirs.ignores.add('POST');
  for (const [route, limit] of [
    [`${pathOf(session)}/touch`, 400],
    ['/sessions', 800],
  ]) {
    const started = Date.now();
    const answer = await ours.request('POST', route, { body: {} });
    const took = Date.now() - started;
    assert.deepEqual([answer.status, answer.json.code], [504, 'upstream_timed_out'], answer.text);
    assert.match(answer.json.detail, new RegExp(`within ${limit / 1000} s`));
    assert.ok(took >= limit - 10 && took < limit + 500, `${route}: ${took} ms`);
    await until(async () => (await ours.request('GET', '/health')).json.status === 'ok', 'it to be healthy again');
  }
  theirs.ignores.clear();
}

/** It polls every 0.1 s: a second between polls, as by default, would hardly be met three times in a row. */
async function pollsOften(ours, theirs) {
  const measured = [];
  while (measured.length < 3 && !(measured.at(-1) < 600)) {
    if (measured.length > 0) await ours.create();
    theirs.forget();
    const started = Date.now();
    await until(async () => (await ours.sessions()).length === 0, 'the list to be empty');
    measured.push(Date.now() - started);
  }
  assert.ok(measured.at(-1) < 600, `${measured} ms`);
}

describe('a control', () => {
  test('CONTROL_REQUEST_TIMEOUT, CONTROL_CREATE_TIMEOUT and CONTROL_POLL_INTERVAL_SECONDS', async () => {
    const settings = { CONTROL_REQUEST_TIMEOUT: '0.4', CONTROL_CREATE_TIMEOUT: '0.8', CONTROL_POLL_INTERVAL_SECONDS: '0.1' };
    await withControl([{ name: 'old', url: original.url }], settings, async (control) => {
      await keepsItsTimeouts(control, original);
      await pollsOften(control, original);
    });
  });

  test('CONTROL_POLL_INTERVAL_SECONDS: workers are not polled more often', async () => {
    await withControl([{ name: 'old', url: original.url }], { CONTROL_POLL_INTERVAL_SECONDS: '30' }, async (control) => {
      await until(async () => (await control.read('/health')).status === 'ok', 'the first poll', 600);
      const session = await control.create();
      original.forget();
      // Like an original worker it has forgotten the session; a touch notices that, a list does not.
      assert.equal((await control.sessions()).length, 1);
      assert.equal((await control.request('POST', `${pathOf(session)}/touch`)).status, 404);
    });
  });

  test('CONTROL_POLL_TIMEOUT_SECONDS and WORKER_POLL_TIMEOUT_SECONDS: slower answers are unhealthy', async () => {
    const slow = http.createServer((request, response) => {
      const body = request.url.startsWith('/health') ? '{"status": "ok", "version": "1", "checks": {}}' : '[]';
      setTimeout(() => response.end(body), 400);
    });
    await once(slow.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${slow.address().port}`;
    for (const [timeout, status] of [
      ['0.2', 'degraded'],
      ['3', 'ok'],
    ]) {
      await withControl([{ name: 'slow', url }], { CONTROL_POLL_TIMEOUT_SECONDS: timeout }, async (control) => {
        await until(async () => (await control.read('/health')).status === status, `control with ${timeout} s to be ${status}`);
      });
      await withRole('worker', { WORKER_RUNNER_BASE_URL: url, WORKER_POLL_TIMEOUT_SECONDS: timeout }, async (worker) => {
        const settled = async () => (await worker.read('/health')).status === status;
        await until(settled, `worker with ${timeout} s to be ${status}`);
      });
    }
    slow.closeAllConnections();
    slow.close();
  });

  test('CONTROL_PLACEMENT: round robin, or where the fewest sessions are', async () => {
    const [a, b] = [await Original.start('worker'), await Original.start('worker')];
    const workers = [
      { name: 'a', url: a.url },
      { name: 'b', url: b.url },
    ];
    const places = async (control, count) => {
      const names = [];
      for (let session = 0; session < count; session += 1) names.push((await control.create()).worker);
      return names;
    };
    await withControl(workers, {}, async (control) => {
      for (let count = 0; count < 2; count += 1) await control.create({ worker: 'a' });
      assert.deepEqual((await places(control, 4)).sort(), ['a', 'a', 'b', 'b']);
    });
    for (const worker of [a, b]) worker.forget();
    await withControl(workers, { CONTROL_PLACEMENT: 'least_sessions' }, async (control) => {
      for (let count = 0; count < 3; count += 1) await control.create({ worker: 'a' });
      assert.deepEqual(await places(control, 3), ['b', 'b', 'b']);
    });
    for (const worker of [a, b]) worker.close();
  });

  test('CONTROL_PUBLIC_API_PREFIX precedes the endpoints', async () => {
    await withControl([{ name: 'old', url: `${original.url}/` }], { CONTROL_PUBLIC_API_PREFIX: '/fleet/api/' }, async (control) => {
      const session = await control.create();
      assert.equal(session.ws_endpoint, `/fleet/api/sessions/old/${session.id}/ws`);
      await control.endAllBut();
    });
  });

  test('CONTROL_WORKERS: without any, creates are refused with the reason', async () => {
    await withControl([], {}, async (control) => {
      assert.deepEqual(await control.read('/health'), { status: 'degraded', workers: [], insecure: false });
      const answer = await control.request('POST', '/sessions', { body: {} });
      assert.deepEqual([answer.status, answer.json.code], [503, 'no_workers']);
      assert.ok(control.logLines().some((line) => line.includes('CONTROL_WORKERS is empty')));
    });
  });

  test('CONTROL_WORKERS: a worker below a path, with a name that has to be escaped', async () => {
    const worker = await Camofleet.start('worker', { WORKER_ID: 'far' });
    const control = await startControl([{ name: 'east 1/ж', url: `${worker.url}/api` }]);
    const session = await control.create({ headless: true });
    assert.equal(session.ws_endpoint, `/sessions/east%201%2F%D0%B6/${session.id}/ws`);
    const escaped = session.ws_endpoint.replace(/\/ws$/, '');
    assert.equal((await control.read(escaped)).id, session.id);
    assert.equal((await request('DELETE', control.url + escaped)).status, 200);
    for (const camofleet of [control, worker]) await camofleet.stop();
  });

  for (const [what, value] of [
    ['no JSON', 'http://worker:8080'],
    ['a worker without a URL', '[{"name": "a"}]'],
    ['a URL that is none', '[{"name": "a", "url": "worker:8080"}]'],
    ['a name twice', '[{"name": "a", "url": "http://a"}, {"name": "a", "url": "http://b"}]'],
  ]) {
    test(`CONTROL_WORKERS with ${what} is a start error`, async () => {
      const { status, stderr } = await run(['control'], { CONTROL_WORKERS: value });
      assert.equal(status, 64, stderr);
      for (const part of ['CONTROL_WORKERS', JSON.stringify(value), 'a JSON array of workers']) assert.ok(stderr.includes(part), stderr);
    });
  }
});

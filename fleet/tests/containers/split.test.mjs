/** The profile `split` of compose.yaml: each role in its own container. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { request } from '../e2e/helpers/http.mjs';
import { until } from '../e2e/helpers/wait.mjs';
import { Stack, test as stackTest } from './helpers/stack.mjs';
import { attachAndRead, colouredUrl, showsColour, store, stored } from './helpers/use.mjs';

const [TEAL, PLUM] = [[20, 140, 140], [120, 40, 110]];
/** How long a container may take to restart until it has browsers again. */
const RECOVERY_MS = 60_000;
let stack;
const test = (name, body) => stackTest(() => stack, name, body);
const through = (url) => ({ wsUrl: url.replace('http', 'ws') });

before(async () => {
  stack = await Stack.up({ profile: 'split', services: ['ui'] }, ({ workers }) => workers.length === 2);
  console.log(`time to a healthy fleet (split): ${stack.startSeconds.toFixed(1)} s`);
});

after(() => stack?.down());

test('the single container is not part of it, and nothing runs as root', async () => {
  assert.deepEqual(await stack.containers('fleet'), []);
  for (const container of await stack.containers()) {
    assert.deepEqual((await container.processes()).filter(({ uid }) => uid !== 10001), [], await container.inspect('{{.Name}}'));
  }
});

test('every healthcheck passes', async () => {
  for (const container of await stack.containers()) {
    await until(() => container.passesHealthcheck(), `the healthcheck of ${await container.inspect('{{.Name}}')} to pass`);
  }
});

test('none of its roles answers to an unknown host name', async () => {
  const headers = { host: 'evil.example' };
  for (const url of [`${stack.url}/sessions`, `${stack.gatewayUrl}/websockify/view?token=6900`, `${stack.uiUrl}/api/sessions`]) {
    assert.equal((await request('GET', url, { headers })).status, 421, url);
  }
  for (const [service, port] of [['worker', 8080], ['worker-vnc', 8080], ['runner', 8070], ['runner-vnc', 8070]]) {
    const ask = `exec 3<>/dev/tcp/127.0.0.1/${port}; printf 'GET /sessions HTTP/1.0\\r\\nHost: evil.example\\r\\n\\r\\n' >&3; head -1 <&3`;
    const container = await stack.container(service);
    assert.match(await container.shell(`bash -c ${JSON.stringify(ask)}`), / 421 /, service);
  }
});

test('nginx serves the panel, its API and its events', async () => {
  const panel = await request('GET', `${stack.uiUrl}/`);
  assert.match(panel.text, /<title>/);
  const workers = await request('GET', `${stack.uiUrl}/api/workers`);
  assert.deepEqual(workers.json.map(({ name, healthy }) => [name, healthy]), [['worker', true], ['worker-vnc', true]]);
  const events = await fetch(`${stack.uiUrl}/api/events`, { signal: AbortSignal.timeout(10_000) });
  const { value } = await events.body.getReader().read();
  assert.match(Buffer.from(value).toString(), /event: ?snapshot/);
});

test('sessions are placed on both workers, and clients attach through control and through nginx', async () => {
  const sessions = [await stack.create({ headless: true }), await stack.create({ headless: true })];
  assert.deepEqual(sessions.map(({ worker }) => worker).sort(), ['worker', 'worker-vnc']);
  await attachAndRead(stack, sessions[0]);
  await attachAndRead(through(stack.uiUrl), sessions[1]);
  await attachAndRead(through(`${stack.uiUrl}/api`), sessions[1]);
  for (const session of sessions) await stack.end(session);
});

test('a live view shows its page through the gateway and through nginx', async () => {
  const session = await stack.create({ vnc: true, start_url: colouredUrl(TEAL) });
  assert.equal(session.worker, 'worker-vnc');
  const { host, search } = new URL(session.vnc.ws);
  assert.equal(host, new URL(stack.gatewayUrl).host.replace('127.0.0.1', 'localhost'));
  await showsColour(session.vnc.ws, TEAL);
  await showsColour(`${through(stack.uiUrl).wsUrl}/websockify${search}`, TEAL);
  const page = await request('GET', session.vnc.http);
  assert.equal(page.status, 200);
  await stack.end(session);
});

test('a profile of the headless worker is there for a session with a live view', async () => {
  const first = await stack.create({ headless: true, worker: 'worker', profile: 'anna' });
  await store(stack, first, 'one');
  await stack.end(first);
  const second = await stack.create({ vnc: true, profile: 'anna' });
  assert.deepEqual([second.worker, second.identity], ['worker-vnc', first.identity]);
  assert.deepEqual(await stored(stack, second), ['stored=one', 'one']);
  await stack.end(second);
});

test('a crashed runner is restarted: its sessions are over, others continue, and new ones work', async () => {
  const [first, second] = [await stack.create({ headless: true }), await stack.create({ headless: true })];
  const [lost, kept] = first.worker === 'worker-vnc' ? [first, second] : [second, first];
  const runner = await stack.container('runner-vnc');
  const started = await runner.inspect('{{.State.StartedAt}}');
  const crashed = performance.now();
  await runner.crash();
  await until(async () => (await stack.session(lost)) === null, 'the lost session to be gone', RECOVERY_MS);
  await attachAndRead(stack, kept);
  await stack.healthy(({ workers }) => workers.every(({ healthy }) => healthy), RECOVERY_MS);
  const again = await stack.create({ vnc: true, start_url: colouredUrl(PLUM) });
  console.log(`a crashed runner had a session again after ${((performance.now() - crashed) / 1000).toFixed(1)} s`);
  assert.notEqual(await runner.inspect('{{.State.StartedAt}}'), started);
  // In this order, because the client's window covers the session's page.
  await showsColour(again.vnc.ws, PLUM);
  await attachAndRead(stack, again);
  for (const session of [kept, again]) await stack.end(session);
});

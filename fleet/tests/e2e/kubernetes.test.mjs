/** Workers that control finds by a cluster's API: how soon, and that a rolling update refuses no create. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Camofleet, run, test } from './helpers/camofleet.mjs';
import { KubernetesApi } from './helpers/kubernetesApi.mjs';
import { attach } from './helpers/playwright.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { until } from './helpers/wait.mjs';

/**
 * The time within which a new pod is known, and the chart's delay between its readiness and the end of an old
 * pod.
 */
const KNOWN_MS = 1000;
const READY_MS = 2000;
/** On a busy machine a pod is sometimes known late; one that nobody watches is known late every time. */
const ROUNDS = 5;
let api, control, old, fresh;

const pod = ({ url }, state) => ({ url, state });
const names = async () => (await control.read('/workers')).filter(({ healthy }) => healthy).map(({ name }) => name);

before(async () => {
  api = await KubernetesApi.start();
  const host = (address) => Camofleet.start('worker', { WORKER_HOST: address });
  [old, fresh] = await Promise.all([host('127.0.0.2'), host('127.0.0.3')]);
  control = await Camofleet.start('control', { CONTROL_DISCOVERY: api.discovery }, { healthy: false });
});

after(async () => {
  for (const camofleet of [control, old, fresh]) await camofleet?.stop();
  api?.close();
});

test('a pod becomes a worker within a second after it is ready, and not before', async (context) => {
  await until(() => api.asked.watch > 0, 'the watch to begin');
  const measured = [];
  while (measured.length < ROUNDS && !(measured.at(-1) < KNOWN_MS)) {
    api.set({ old: pod(old, 'starting') });
    await sleep(200);
    await until(async () => (await control.read('/workers')).length === 0, 'no pod to be a worker');
    api.set({ old: pod(old, 'ready') });
    const ready = performance.now();
    await until(async () => (await names()).includes('old'), 'the pod to be a worker');
    measured.push(performance.now() - ready);
  }
  context.diagnostic(`a pod was a healthy worker ${measured.map((ms) => ms.toFixed(0)).join(', ')} ms after it was ready`);
  assert.ok(measured.at(-1) < KNOWN_MS, `${measured} ms`);
});

test('a rolling update of one pod refuses no create, and its sessions continue', async () => {
  const kept = await control.create({ headless: true });
  assert.equal(kept.worker, 'old');
  const answers = [];
  let updating = true;
  const asking = (async () => {
    while (updating) {
      const answer = await control.request('POST', '/sessions', { body: { headless: true } });
      answers.push(`${answer.status} ${answer.json.worker ?? answer.json.code}`);
      if (answer.status === 201) await control.end(answer.json);
    }
  })();
  try {
    // As Kubernetes and the chart do it: the new pod is ready for a while, then the old one is terminated and
    // drained.
    api.set({ old: pod(old, 'ready'), fresh: pod(fresh, 'ready') });
    await Promise.all([sleep(READY_MS), until(async () => (await names()).includes('fresh'), 'the new pod to be a worker')]);
    const drained = run(['drain', '--url', old.url, '--timeout', '60'], {}, 70_000);
    api.set({ old: pod(old, 'terminating'), fresh: pod(fresh, 'ready') });
    const terminating = answers.length;
    await until(() => answers.slice(terminating + 1).includes('201 fresh'), 'a create after the update', 20_000);
    const client = await attach(control, kept);
    await client.close();
    await control.end(kept);
    assert.deepEqual(await drained, { status: 0, stdout: '', stderr: '' });
  } finally {
    updating = false;
    await asking;
  }
  assert.deepEqual(answers.filter((answer) => !answer.startsWith('201 ')), [], answers.join(', '));
  console.log(`${answers.length} creates during the update: ${answers.join(', ')}`);
  const named = await control.request('POST', '/sessions', { body: { headless: true, worker: 'old' } });
  assert.deepEqual([named.status, named.json.code], [503, 'draining']);
  api.set({ fresh: pod(fresh, 'ready') });
  await until(async () => (await control.read('/workers')).length === 1, 'the old pod to be forgotten');
});

test('a drain that reaches its limit ends the sessions with a reason, and succeeds', async () => {
  const session = await control.create({ headless: true });
  const client = await attach(control, session);
  const left = new Promise((resolve) => client.once('disconnected', resolve));
  const { status, stderr } = await run(['drain', '--url', fresh.url, '--timeout', '1']);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /had 1 session left after 1 s, which were ended/);
  await left;
  const ended = (await fresh.sessions({ ended: true })).find(({ id }) => id === session.id);
  assert.equal(ended.end_reason, 'shutdown');
  assert.match(ended.end_detail, /being drained/);
  assert.equal((await control.request('DELETE', '/workers/fresh/drain')).status, 200);
});

test('a drain does not fail when another container ends before its own hook', async () => {
  const gone = await Camofleet.start('worker', {});
  const session = await gone.create({ headless: true });
  const drained = run(['drain', '--url', gone.url, '--timeout', '30'], {}, 40_000);
  await until(async () => (await gone.read('/health')).facts.draining, 'the drain to begin');
  assert.ok(session.id);
  await gone.stop();
  assert.equal((await drained).status, 0);
});

test('a drain sends the token from its environment', async () => {
  const secured = await Camofleet.start('worker', { WORKER_API_TOKEN: 's3cret' });
  const drain = (settings, ...more) => run(['drain', '--url', secured.url, '--timeout', '1', ...more], settings);
  try {
    const stranger = await drain({});
    assert.equal(stranger.status, 1);
    assert.match(stranger.stderr, /401/);
    const unset = await drain({}, '--token-env', 'HOOK_TOKEN');
    assert.equal(unset.status, 64);
    assert.match(unset.stderr, /HOOK_TOKEN, which is not set/);
    assert.deepEqual(await drain({ HOOK_TOKEN: 's3cret' }, '--token-env', 'HOOK_TOKEN'), { status: 0, stdout: '', stderr: '' });
  } finally {
    await secured.stop();
  }
});

test('a restarted API server, or one that has forgotten its history, loses no worker', async () => {
  const { list, watch } = api.asked;
  api.cut();
  await until(() => api.asked.watch > watch, 'the watch to be resumed');
  assert.equal(api.asked.list, list, 'it resumes where it was');
  api.forget();
  api.cut();
  await until(() => api.asked.list > list, 'the list to be read again');
  api.set({ fresh: pod(fresh, 'ready'), old: pod(old, 'ready') });
  await until(async () => (await names()).join() === 'fresh,old', 'both to be workers');
  await control.request('DELETE', '/workers/old/drain');
});

test('in a fleet with tokens, as the chart configures it, the key of its address opens a live view', async () => {
  const cluster = await KubernetesApi.start();
  const bases = { RUNNER_VNC_WS_BASE: 'ws://worker-vnc:6900', RUNNER_VNC_HTTP_BASE: 'http://worker-vnc:6900' };
  const host = await Camofleet.start('worker', { WORKER_HOST: '127.0.0.2', RUNNER_VNC_BIND: '127.0.0.2', WORKER_SUPPORTS_VNC: '1', WORKER_API_TOKEN: 'inner', ...bases });
  const { ids, ports } = host.ranges;
  const secured = await Camofleet.start(
    'control',
    {
      CONTROL_DISCOVERY: JSON.stringify([{ url: cluster.discovery, supports_vnc: true }]),
      CONTROL_API_TOKEN: 'outer',
      CONTROL_WORKERS_TOKEN: 'inner',
      VNC_WEB_RANGE: `${ids.first}-${ids.last}`,
      VNC_BASE_PORT: String(ports.first),
    },
    { healthy: false },
  );
  try {
    cluster.set({ pod: pod(host, 'ready') });
    await until(async () => (await secured.request('GET', '/health')).json.status === 'ok', 'the pod to be a worker');
    const created = await secured.request('POST', '/sessions', { body: { vnc: true }, headers: { authorization: 'Bearer outer' } });
    assert.equal(created.status, 201, created.text);
    const { ws } = created.json.vnc;
    assert.match(ws, new RegExp(`^/websockify\\?token=pod:${created.json.vnc_id}&key=[0-9a-f]{32}$`));
    (await Viewer.connect(`${secured.wsUrl}${ws}`)).close();
    await assert.rejects(Viewer.connect(`${secured.wsUrl}${ws.replace(/&key=.*/, '')}`), /401/);
  } finally {
    await secured.stop();
    await host.stop();
    cluster.close();
  }
});

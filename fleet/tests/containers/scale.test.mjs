/** The profile `scale` of compose.yaml: a number of browser hosts, found by their common name. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { until } from '../e2e/helpers/wait.mjs';
import { Stack, test as stackTest } from './helpers/stack.mjs';
import { attachAndRead, colouredUrl, showsColour, store, stored } from './helpers/use.mjs';

const OLIVE = [120, 130, 30];
const HOSTS = 3;
/** How long a change of the DNS records may take to be noticed. */
const DISCOVERY_MS = 30_000;
let stack;
const test = (name, body) => stackTest(() => stack, name, body);
const workers = () => stack.ask('GET', '/workers');
const named = async (wanted) => (await workers()).find(({ name }) => name === wanted);

before(async () => {
  const shape = { profile: 'scale', services: ['scale-control'], scale: { 'scale-host': HOSTS } };
  stack = await Stack.up(shape, (health) => health.workers.length === HOSTS);
  console.log(`time to a healthy fleet (scale, ${HOSTS} hosts): ${stack.startSeconds.toFixed(1)} s`);
});

after(() => stack?.down());

test('control finds all hosts by DNS', async () => {
  const found = await workers();
  assert.equal(found.length, HOSTS);
  assert.equal(new Set(found.map(({ name }) => name)).size, HOSTS);
  assert.ok(found.every(({ healthy, supports_vnc }) => healthy && supports_vnc));
});

test('sessions are placed on each of them, and clients attach to all', async () => {
  const sessions = [];
  for (let count = 0; count < HOSTS; count += 1) sessions.push(await stack.create({ headless: true }));
  assert.equal(new Set(sessions.map(({ worker }) => worker)).size, HOSTS);
  for (const session of sessions) await attachAndRead(stack, session);
  for (const session of sessions) await stack.end(session);
});

test('control shows the live view of a host', async () => {
  const session = await stack.create({ vnc: true, start_url: colouredUrl(OLIVE) });
  await showsColour(stack.wsUrl + session.vnc.ws, OLIVE);
  await stack.end(session);
});

test('any host takes any profile, one at a time', async () => {
  const [{ name: one }, { name: other }] = await workers();
  const first = await stack.create({ headless: true, worker: one, profile: 'anna' });
  await store(stack, first, 'one');
  const second = { headless: true, worker: other, profile: 'anna' };
  const refused = await stack.ask('POST', '/sessions', second, 409);
  assert.equal(refused.code, 'profile_in_use');
  assert.match(refused.detail, new RegExp(first.id));
  await stack.end(first);
  const session = await stack.create(second);
  assert.deepEqual([session.worker, session.identity], [other, first.identity]);
  assert.deepEqual(await stored(stack, session), ['stored=one', 'one']);
  await stack.end(session);
});

test('a drained host gets no more sessions, and keeps the one it has', async () => {
  const session = await stack.create({ headless: true });
  await stack.ask('POST', `/workers/${session.worker}/drain`);
  await until(async () => (await named(session.worker)).draining, 'control to see the host draining');
  const others = [];
  for (let count = 0; count < HOSTS; count += 1) others.push(await stack.create({ headless: true }));
  assert.ok(others.every(({ worker }) => worker !== session.worker), `${others.map(({ worker }) => worker)} without ${session.worker}`);
  await attachAndRead(stack, session);
  await stack.ask('DELETE', `/workers/${session.worker}/drain`);
  await until(async () => !(await named(session.worker)).draining, 'control to see the host back');
  const back = await stack.create({ headless: true, worker: session.worker });
  for (const one of [session, back, ...others]) await stack.end(one);
});

test('a removed host is forgotten, and an added one is found', async () => {
  const [gone] = await stack.containers('scale-host');
  await gone.stop();
  await until(async () => (await workers()).length === HOSTS - 1, 'the host to be forgotten', DISCOVERY_MS);
  await stack.healthy();
  await gone.start();
  await stack.healthy((health) => health.workers.length === HOSTS, DISCOVERY_MS);
});

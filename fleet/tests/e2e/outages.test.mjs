/** Processes of a fleet die, stop, or never answer: what the rest reports meanwhile, and how it recovers. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Camofleet, test } from './helpers/camofleet.mjs';
import { openSocket } from './helpers/http.mjs';
import { USER_AGENT, attach, blankPage } from './helpers/playwright.mjs';
import { browsers, drivers, xServers } from './helpers/processes.mjs';
import { DETECTION_MS, Fleet, RECOVERY_MS, startControl } from './helpers/roles.mjs';
import { until, within } from './helpers/wait.mjs';

const HEADERS = { 'user-agent': USER_AGENT };
const READS = ['/sessions', '/workers', '/health'];
/** What a read may take, whatever its workers do. */
const READ_LIMIT_MS = 50;

/** How long the slowest of some reads of each kind took, in milliseconds. */
async function slowestReads(control, times = 20) {
  const slowest = {};
  for (const route of READS) {
    const took = [];
    for (let count = 0; count < times; count += 1) {
      const started = performance.now();
      await control.read(route);
      took.push(performance.now() - started);
    }
    slowest[route] = Math.round(Math.max(...took) * 10) / 10;
  }
  return slowest;
}

function areQuick(slowest) {
  for (const [route, took] of Object.entries(slowest)) assert.ok(took < READ_LIMIT_MS, `${route} took ${took} ms`);
}

/** A stopwatch that tells a test's report what it measured. */
function stopwatch(context) {
  const started = Date.now();
  return {
    elapsed: () => Date.now() - started,
    note: (what) => context.diagnostic(`${what} after ${Date.now() - started} ms`),
    /** Waits for a moment that is so far from the start. */
    at: (moment) => delay(Math.max(0, started + moment - Date.now())),
  };
}

describe('a fleet of two hosts', () => {
  let fleet, control;
  before(async () => {
    fleet = await Fleet.start();
    control = fleet.control;
  });
  after(() => fleet?.stop());

  const isHealthy = () => until(async () => (await fleet.status('east')).healthy, 'east to be healthy', RECOVERY_MS);

  /** Resolves when control has noticed that east is of no use; begun at once, it may be waited for later. */
  function unhealthyEast(clock, what) {
    const noticed = until(async () => !(await fleet.status('east')).healthy, 'east to be unhealthy', DETECTION_MS).then(() => clock.note(what));
    // A test that fails before it waits for this has its own error.
    noticed.catch(() => {});
    return noticed;
  }

  const find = async ({ id }) => (await control.sessions()).find((session) => session.id === id);

  /** A session on either host, and a client on each. */
  async function twoSessions() {
    const [lost, spared] = [await control.create({ headless: true, worker: 'east' }), await control.create({ headless: true, worker: 'west' })];
    const { socket, closed } = await openSocket(control.wsUrl + lost.ws_endpoint, { headers: HEADERS });
    assert.ok(socket, 'a client is attached');
    return { lost, spared, closed };
  }

  /** Nothing has happened to the host that lives, and it takes what the other does not. */
  async function restGoesOn(spared) {
    const { status, stale } = await find(spared);
    assert.deepEqual([status, stale, (await fleet.status('west')).healthy], ['READY', false, true]);
    const client = await attach(control, spared);
    assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
    await client.close();
    // Two in a row: either would be the other host's turn.
    for (let count = 0; count < 2; count += 1) {
      const session = await control.create({ headless: true });
      assert.equal(session.worker, 'west');
      await control.end(session);
    }
  }

  /** A session of a host that does not answer can be seen, and nothing can be done with it. */
  async function isOutOfReach(lost) {
    for (const [method, below] of [['DELETE', ''], ['POST', '/touch']]) {
      const answer = await control.request(method, `/sessions/east/${lost.id}${below}`);
      assert.deepEqual([answer.status, answer.json.code], [502, 'upstream_unreachable'], answer.text);
    }
    const named = await control.request('POST', '/sessions', { body: { headless: true, worker: 'east' } });
    assert.deepEqual([named.status, named.json.code], [502, 'upstream_unreachable'], named.text);
    const { refusal } = await openSocket(control.wsUrl + lost.ws_endpoint, { headers: HEADERS });
    assert.deepEqual([refusal?.status, refusal?.json.code], [502, 'upstream_unreachable']);
  }

  test('a killed runner: nothing of it is left, its worker says so, and all is well once it is back', async (context) => {
    const { lost, spared, closed } = await twoSessions();
    await fleet.runnerEast.create({ vnc: true });
    assert.deepEqual([browsers, xServers, drivers].map((list) => list(fleet.runnerEast.runBase).length), [2, 1, 1]);
    const clock = stopwatch(context);
    fleet.runnerEast.kill('SIGKILL');
    const noticed = unhealthyEast(clock, 'control calls the worker of a killed runner unhealthy');
    await fleet.runnerEast.awaitEnd();
    // At once, and before anybody can know of it.
    for (let count = 0; count < 2; count += 1) {
      const session = await control.create({ headless: true });
      assert.equal(session.worker, 'west');
      await control.end(session);
    }
    await fleet.runnerEast.nothingIsLeft(Math.max(0, 2000 - clock.elapsed()));
    assert.equal((await within(closed, 'the client to be closed', 2000)).code, 1011);
    await noticed;
    const worker = await fleet.workerEast.read('/health');
    assert.equal(worker.status, 'degraded');
    assert.match(worker.checks.runner, /refused/);
    await until(async () => (await find(lost))?.stale, 'its session to be marked as stale', DETECTION_MS);
    await restGoesOn(spared);
    await isOutOfReach(lost);
    areQuick(await slowestReads(control, 5));

    await clock.at(10_000);
    assert.equal((await fleet.status('east')).healthy, false);
    assert.deepEqual([(await find(lost)).stale, (await find(spared)).status], [true, 'READY']);
    const back = stopwatch(context);
    await fleet.again('runnerEast');
    await isHealthy();
    await until(async () => !(await find(lost)), 'the lost session to be gone', 5000);
    back.note('a runner that is back is in use again');
    await control.end(await control.create({ headless: true, worker: 'east' }));
    await control.end(spared);
  });

  test('a killed worker: its sessions are stale and live on, and are usable once it is back', async (context) => {
    const { lost, spared, closed } = await twoSessions();
    const clock = stopwatch(context);
    fleet.workerEast.kill('SIGKILL');
    const noticed = unhealthyEast(clock, 'control calls a killed worker unhealthy');
    await fleet.workerEast.awaitEnd();
    assert.equal((await within(closed, 'the client to be closed', 2000)).code, 1011);
    const atOnce = await control.create({ headless: true });
    assert.equal(atOnce.worker, 'west');
    await control.end(atOnce);
    await clock.at(1000);
    assert.equal((await find(lost)).status, 'READY');
    await noticed;
    assert.match((await fleet.status('east')).detail.error, /refused/);
    assert.equal((await control.read('/health')).status, 'degraded');
    assert.deepEqual([(await find(lost)).stale, (await find(lost)).status], [true, 'READY']);
    await restGoesOn(spared);
    await isOutOfReach(lost);

    await clock.at(10_000);
    assert.equal((await fleet.status('east')).healthy, false);
    assert.equal((await find(lost)).stale, true);
    const back = stopwatch(context);
    await fleet.again('workerEast');
    await isHealthy();
    back.note('a worker that is back is in use again');
    assert.deepEqual([(await find(lost)).stale, (await control.read('/health')).status], [false, 'ok']);
    const client = await attach(control, lost);
    assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
    await client.close();
    for (const session of [lost, spared]) await control.end(session);
  });

  test('a worker that stops answering: reads stay quick, and it is back when it goes on', async (context) => {
    const session = await control.create({ headless: true, worker: 'east' });
    const clock = stopwatch(context);
    fleet.workerEast.kill('SIGSTOP');
    const noticed = unhealthyEast(clock, 'control calls a stopped worker unhealthy');
    try {
      areQuick(await slowestReads(control, 10));
      await noticed;
      assert.equal((await find(session)).stale, true);
      areQuick(await slowestReads(control));
      await restGoesOn(await control.create({ headless: true }));
      assert.equal((await fleet.status('east')).healthy, false);
    } finally {
      fleet.workerEast.kill('SIGCONT');
    }
    const back = stopwatch(context);
    await isHealthy();
    back.note('a worker that goes on is in use again');
    assert.equal((await find(session)).stale, false);
    await control.endAllBut();
  });

  test('a killed control: the workers go on, and the next control finds their sessions', async (context) => {
    const { lost, spared, closed } = await twoSessions();
    fleet.control.kill('SIGKILL');
    await fleet.control.awaitEnd();
    // Its sockets died with it.
    assert.equal((await within(closed, 'the client to be closed', 2000)).code, 1006);
    for (const [worker, { id }] of [[fleet.workerEast, lost], [fleet.workerWest, spared]]) {
      assert.equal((await worker.session({ id })).status, 'READY');
      await worker.sessionThat({ id }, ({ attached }) => attached === 0, 'without clients', 3000);
    }
    const onItsOwn = await fleet.workerEast.create({ headless: true });

    const back = stopwatch(context);
    control = await fleet.again('control');
    await until(async () => (await control.sessions()).length === 3, 'all sessions to be listed', RECOVERY_MS);
    back.note('a new control lists all sessions');
    for (const session of [lost, spared, { ...onItsOwn, worker: 'east' }]) {
      assert.deepEqual([(await find(session)).status, (await find(session)).stale], ['READY', false]);
      await control.end(session);
    }
  });
});

describe('a worker that takes connections and never answers', () => {
  let worker, control, silent;
  const sockets = new Set();
  before(async () => {
    silent = net.createServer((socket) => sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    worker = await Camofleet.start('worker');
    const url = `http://127.0.0.1:${silent.address().port}`;
    control = await startControl([{ name: 'silent', url }, { name: 'healthy', url: worker.url }], {}, { healthy: false });
  });
  after(async () => {
    await control?.stop();
    for (const socket of sockets) socket.destroy();
    silent?.close();
    await worker?.stop();
  });

  test('no read waits for it', async (context) => {
    await until(() => sockets.size > 0, 'it to be asked');
    const slowest = await slowestReads(control);
    context.diagnostic(`the slowest of 20 reads each, in ms: ${JSON.stringify(slowest)}`);
    areQuick(slowest);
  });

  test('it is reported, and sessions go elsewhere', async () => {
    const status = async () => (await control.read('/workers')).find(({ name }) => name === 'silent');
    await until(async () => /did not answer within/.test((await status()).detail.error), 'its silence to be reported', DETECTION_MS);
    assert.equal((await status()).healthy, false);
    const health = await control.read('/health');
    assert.deepEqual([health.status, health.workers.map(({ healthy }) => healthy)], ['degraded', [false, true]]);
    const sessions = await Promise.all([control.create({ headless: true }), control.create({ headless: true })]);
    for (const session of sessions) {
      assert.equal(session.worker, 'healthy');
      await control.end(session);
    }
  });

  test('what names it is refused at once', async () => {
    const started = Date.now();
    const answer = await control.request('POST', '/sessions', { body: { headless: true, worker: 'silent' } });
    assert.deepEqual([answer.status, answer.json.code], [502, 'upstream_unreachable'], answer.text);
    assert.ok(Date.now() - started < 500);
  });
});

/**
 * Processes of a fleet die, stop, or never answer: what the others report meanwhile, and how the fleet
 * recovers.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Camofleet, test } from './helpers/camofleet.mjs';
import { openSocket } from './helpers/http.mjs';
import { CLIENT_HEADERS, attach, blankPage } from './helpers/playwright.mjs';
import { browsers, drivers, xServers } from './helpers/processes.mjs';
import { DETECTION_MS, Fleet, RECOVERY_MS, startControl } from './helpers/roles.mjs';
import { until, within } from './helpers/wait.mjs';

const HEADERS = CLIENT_HEADERS;
const READS = ['/sessions', '/workers', '/health'];
/** The limit of a read, whatever its workers do. */
const READ_LIMIT_MS = 50;
/** On a busy machine a read is sometimes late; a read that waits for a worker is late every time. */
const ROUNDS = 10;

/** Repeats all frequent reads, and expects that none waits for a worker. */
async function readsAreQuick(control, context, times = 20) {
  let measured;
  for (let round = 0; round < ROUNDS; round += 1) {
    measured = {};
    for (const route of READS) {
      const took = [];
      for (let count = 0; count < times; count += 1) {
        const started = performance.now();
        await control.read(route);
        took.push(performance.now() - started);
      }
      measured[route] = Math.round(Math.max(...took) * 10) / 10;
    }
    if (Object.values(measured).every((slowest) => slowest < READ_LIMIT_MS)) break;
  }
  context.diagnostic(`the slowest of ${times} reads each, in ms: ${JSON.stringify(measured)}`);
  for (const [route, slowest] of Object.entries(measured)) assert.ok(slowest < READ_LIMIT_MS, `${route} took ${slowest} ms`);
}

/** A stopwatch whose measurements are in the test's report. */
function stopwatch(context) {
  const started = Date.now();
  return {
    note: (what) => context.diagnostic(`${what} after ${Date.now() - started} ms`),
    /** Waits for a moment relative to the start. */
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

  /** Resolves when control has noticed that east is unusable; may be started before it is awaited. */
  function unhealthyEast(clock, what) {
    const noticed = until(async () => !(await fleet.status('east')).healthy, 'east to be unhealthy', DETECTION_MS).then(() => clock.note(what));
    // A test that fails before it awaits this has its own error.
    noticed.catch(() => {});
    return noticed;
  }

  const find = async ({ id }) => (await control.sessions()).find((session) => session.id === id);

  /**
   * What some roles report of themselves and of some sessions, one line each, at a moment; may be awaited
   * later.
   *
   * @param {object} clock the test's stopwatch, which records the lines
   * @param {number} moment when, in milliseconds on that clock
   * @param {Record<string, {id: string}>} sessions by their names in the lines
   * @param {string[]} members the running roles
   * @returns {Promise<Record<string, string>>} the lines
   */
  function reports(clock, moment, sessions, members) {
    const lines = reportsAt(clock, moment, sessions, members);
    // A test that fails before it awaits this has its own error.
    lines.catch(() => {});
    return lines;
  }

  async function reportsAt(clock, moment, sessions, members) {
    await clock.at(moment);
    const lines = {};
    for (const member of members) {
      const [{ status }, seen] = [await fleet[member].read('/health'), await fleet[member].sessions()];
      const named = Object.entries(sessions).flatMap(([name, { id }]) => {
        const view = seen.find((session) => session.id === id);
        return view ? [`${name}: ${view.status}${view.stale ? ', stale' : ''}`] : [];
      });
      lines[member] = [status, ...named].join('; ');
    }
    clock.note(`the roles report ${JSON.stringify(lines)}`);
    return lines;
  }

  /** A session on each host, and a client on one of them. */
  async function twoSessions() {
    const [lost, spared] = [await control.create({ headless: true, worker: 'east' }), await control.create({ headless: true, worker: 'west' })];
    const { socket, closed } = await openSocket(control.wsUrl + lost.ws_endpoint, { headers: HEADERS });
    assert.ok(socket, 'a client is attached');
    return { lost, spared, closed };
  }

  /** The healthy host is unaffected, and gets the creates that the other can't take. */
  async function restGoesOn(spared) {
    const { status, stale } = await find(spared);
    assert.deepEqual([status, stale, (await fleet.status('west')).healthy], ['READY', false, true]);
    const client = await attach(control, spared);
    assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
    await client.close();
    // Two in a row: one of them would be the other host's turn.
    for (let count = 0; count < 2; count += 1) {
      const session = await control.create({ headless: true });
      assert.equal(session.worker, 'west');
      await control.end(session);
    }
  }

  /** A session of a host that does not answer is listed, but can't be used. */
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

  test('a killed runner: none of its processes is left, its worker reports it, and all is well once it is back', async (context) => {
    const { lost, spared, closed } = await twoSessions();
    const shown = await fleet.runnerEast.create({ vnc: true });
    await until(async () => (await find(shown))?.status === 'READY', 'control to see it');
    assert.deepEqual([browsers, xServers, drivers].map((list) => list(fleet.runnerEast.runBase).length), [2, 1, 1]);
    const clock = stopwatch(context);
    fleet.runnerEast.kill('SIGKILL');
    const noticed = unhealthyEast(clock, 'control calls the worker of a killed runner unhealthy');
    const reportAt = (moment) => reports(clock, moment, { lost, shown, spared }, ['control', 'workerEast', 'workerWest', 'runnerWest']);
    const afterASecond = reportAt(1000);
    await fleet.runnerEast.awaitEnd();
    await fleet.runnerEast.nothingIsLeft(2000);
    // At once, before anybody can have noticed.
    for (let count = 0; count < 2; count += 1) {
      const session = await control.create({ headless: true });
      assert.equal(session.worker, 'west');
      await control.end(session);
    }
    assert.equal((await within(closed, 'the client to be closed', 2000)).code, 1011);
    const { control: early, workerEast, ...others } = await afterASecond;
    // The two hops between it and control may not have polled since.
    assert.match(early, /^(ok|degraded); lost: READY(, stale)?; shown: READY(, stale)?; spared: READY$/);
    assert.match(workerEast, /^(ok|degraded); lost: READY(, stale)?; shown: READY(, stale)?$/);
    const untouched = { workerWest: 'ok; spared: READY', runnerWest: 'ok; spared: READY' };
    assert.deepEqual(others, untouched);
    await noticed;
    const worker = await fleet.workerEast.read('/health');
    assert.equal(worker.status, 'degraded');
    assert.match(worker.checks.runner, /refused/);
    await until(async () => (await find(lost))?.stale, 'its session to be marked as stale', DETECTION_MS);
    await restGoesOn(spared);
    await isOutOfReach(lost);
    await readsAreQuick(control, context);

    const stale = 'degraded; lost: READY, stale; shown: READY, stale';
    assert.deepEqual(await reportAt(10_000), { control: `${stale}; spared: READY`, workerEast: stale, ...untouched });
    const back = stopwatch(context);
    await fleet.again('runnerEast');
    await isHealthy();
    await until(async () => !(await find(lost)), 'the lost session to be gone', 5000);
    back.note('a runner that is back is in use again');
    await control.end(await control.create({ headless: true, worker: 'east' }));
    await control.end(spared);
  });

  test('a killed worker: its sessions are stale and continue, and are usable once it is back', async (context) => {
    const { lost, spared, closed } = await twoSessions();
    const clock = stopwatch(context);
    fleet.workerEast.kill('SIGKILL');
    const noticed = unhealthyEast(clock, 'control calls a killed worker unhealthy');
    const reportAt = (moment) => reports(clock, moment, { lost, spared }, ['control', 'runnerEast', 'workerWest', 'runnerWest']);
    const afterASecond = reportAt(1000);
    await fleet.workerEast.awaitEnd();
    assert.equal((await within(closed, 'the client to be closed', 2000)).code, 1011);
    const atOnce = await control.create({ headless: true });
    assert.equal(atOnce.worker, 'west');
    await control.end(atOnce);
    const { control: early, ...others } = await afterASecond;
    assert.match(early, /^(ok|degraded); lost: READY(, stale)?; spared: READY$/);
    const untouched = { runnerEast: 'ok; lost: READY', workerWest: 'ok; spared: READY', runnerWest: 'ok; spared: READY' };
    assert.deepEqual(others, untouched);
    await noticed;
    assert.match((await fleet.status('east')).detail.error, /refused/);
    assert.equal((await control.read('/health')).status, 'degraded');
    assert.deepEqual([(await find(lost)).stale, (await find(lost)).status], [true, 'READY']);
    await restGoesOn(spared);
    await isOutOfReach(lost);

    assert.deepEqual(await reportAt(10_000), { control: 'degraded; lost: READY, stale; spared: READY', ...untouched });
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

  test('a worker that stops answering: reads stay fast, and it is back when it answers again', async (context) => {
    const session = await control.create({ headless: true, worker: 'east' });
    const clock = stopwatch(context);
    fleet.workerEast.kill('SIGSTOP');
    const noticed = unhealthyEast(clock, 'control calls a stopped worker unhealthy');
    try {
      await readsAreQuick(control, context);
      await noticed;
      assert.equal((await find(session)).stale, true);
      await readsAreQuick(control, context);
      await restGoesOn(await control.create({ headless: true }));
      assert.equal((await fleet.status('east')).healthy, false);
    } finally {
      fleet.workerEast.kill('SIGCONT');
    }
    const back = stopwatch(context);
    await isHealthy();
    back.note('a continued worker is in use again');
    assert.equal((await find(session)).stale, false);
    await control.endAllBut();
  });

  test('a killed control: the workers continue, and the next control finds their sessions', async (context) => {
    const { lost, spared, closed } = await twoSessions();
    const clock = stopwatch(context);
    fleet.control.kill('SIGKILL');
    await fleet.control.awaitEnd();
    // Its sockets were closed with it.
    assert.equal((await within(closed, 'the client to be closed', 2000)).code, 1006);
    for (const [worker, { id }] of [[fleet.workerEast, lost], [fleet.workerWest, spared]]) {
      assert.equal((await worker.session({ id })).status, 'READY');
      await worker.sessionThat({ id }, ({ attached }) => attached === 0, 'without clients', 3000);
    }
    const east = { workerEast: 'ok; lost: READY', runnerEast: 'ok; lost: READY' };
    const untouched = { ...east, workerWest: 'ok; spared: READY', runnerWest: 'ok; spared: READY' };
    for (const moment of [1000, 10_000]) {
      assert.deepEqual(await reports(clock, moment, { lost, spared }, Object.keys(untouched)), untouched);
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

describe('a worker that accepts connections and never answers', () => {
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
    await readsAreQuick(control, context);
  });

  test('it is reported, and sessions are placed elsewhere', async () => {
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

  test('requests for it by name are refused at once', async () => {
    const measured = [];
    while (measured.length < 3 && !(measured.at(-1) < 500)) {
      const started = Date.now();
      const answer = await control.request('POST', '/sessions', { body: { headless: true, worker: 'silent' } });
      assert.deepEqual([answer.status, answer.json.code], [502, 'upstream_unreachable'], answer.text);
      measured.push(Date.now() - started);
    }
    assert.ok(measured.at(-1) < 500, `${measured} ms`);
  });
});

/** Sessions leave nothing behind. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { attach, blankPage } from './helpers/playwright.mjs';
import { browsers, countDescriptors, describeDescriptors, displayFiles, drivers, launchDirectories, marked, residentBytes } from './helpers/processes.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { Server, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

const CYCLES = 50;
/** How many cycles run concurrently: a launch occupies a CPU core, and there are at least two. */
const AT_ONCE = 2;
const MEGABYTE = 1 << 20;

let server;
before(async () => (server = await Server.start({ RUNNER_PREWARM_HEADLESS: '1', RUNNER_PREWARM_VNC: '1', RUNNER_VNC_RESOLUTION: '640x480x24' })));
after(() => server?.stop());

/** Creates a session, uses it sometimes, and deletes it. */
async function cycle(number) {
  const vnc = number % 2 === 1;
  const session = await server.create(vnc ? { vnc } : { headless: true });
  if (number % 5 === 0) {
    const client = await attach(server, session);
    await (await blankPage(client)).evaluate(() => 6 * 7);
    await client.close();
  }
  if (vnc && number % 3 === 0) {
    const viewer = await Viewer.connect(server.wsUrl + session.vnc.ws);
    await viewer.pixels(0, 0, 4, 4);
    await viewer.close();
  }
  await server.end(session);
}

/** The resources of the server with only its two warm browsers. */
async function atRest() {
  await server.poolsFull();
  await until(async () => (await server.usedSlots()) === 1, "all slots but the pool's to be free");
  await until(async () => (await server.metrics()).value('camofleet_attachments') === 0, 'all clients to be gone');
  const [driver, ...others] = drivers(server.runBase);
  assert.deepEqual(others, []);
  // It takes a moment until connections closed by the tests are noticed.
  const steady = await steadyCount(() => countDescriptors(server.pid));
  return {
    resident: residentBytes(server.pid),
    counts: {
      descriptors: steady,
      driverDescriptors: await steadyCount(() => countDescriptors(driver.pid)),
      directories: launchDirectories(server.runBase).length,
      displayFiles: displayFiles(server.displays).length,
      browsers: browsers(server.runBase).length,
      others: marked(server.runBase).filter(({ pid, group }) => pid === group).length,
    },
    kinds: { server: describeDescriptors(server.pid), driver: describeDescriptors(driver.pid) },
    driver: driver.pid,
  };
}

/** A count that has been stable for a second. */
async function steadyCount(count) {
  let [last, since] = [count(), Date.now()];
  await until(() => {
    const now = count();
    if (now !== last) [last, since] = [now, Date.now()];
    return Date.now() - since > 1000;
  }, 'a count to be steady');
  return last;
}

test('fifty sessions leave no process, descriptor, directory, slot, socket or memory behind', async (context) => {
  let early;
  for (let number = 0; number < CYCLES; number += AT_ONCE) {
    if (number === 10) early = await atRest();
    // Every second time the pools are full again, so half of the sessions are warm.
    if (number % (2 * AT_ONCE) === 0) await server.poolsFull();
    await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => cycle(number + index)));
  }
  const late = await atRest();
  assert.deepEqual(late.counts, early.counts, JSON.stringify([early.kinds, late.kinds], null, 1));
  assert.equal(late.driver, early.driver, 'the driver has survived');
  // What is free is returned to the system every ten seconds.
  const most = early.resident + 5 * MEGABYTE;
  await until(() => residentBytes(server.pid) <= most, 'memory to be returned').catch(() => {});
  const grown = (residentBytes(server.pid) - early.resident) / MEGABYTE;
  context.diagnostic(`camofleet holds ${(early.resident / MEGABYTE + grown).toFixed(1)} MB, ${grown.toFixed(1)} MB more than after ten`);
  assert.ok(grown <= 5, `${grown} MB more than after ten sessions`);

  const metrics = await server.metrics();
  for (const source of ['warm', 'cold']) {
    const count = metrics.value('camofleet_session_create_seconds_count', { source });
    context.diagnostic(`${count} were ${source}`);
    assert.ok(count >= 10, `only ${count} sessions were ${source}`);
  }
  assert.equal(metrics.value('camofleet_session_ends_total', { reason: 'deleted' }), CYCLES);
  assert.equal((await server.sessions({ ended: true })).length, CYCLES);
});

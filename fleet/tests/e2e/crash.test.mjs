/** Crashes: sessions do what `on_crash` says, and others are not affected. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, afterEach, before, describe } from 'node:test';
import { openSocket } from './helpers/http.mjs';
import { CLIENT_HEADERS, attach, blankPage } from './helpers/playwright.mjs';
import { browsers, displayFiles, drivers, isAlive, launchDirectories, xServers } from './helpers/processes.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until, within } from './helpers/wait.mjs';

const TEAL = [0, 130, 140];
const SLOW = 40_000;

let site;
before(async () => (site = await Site.open({ '/': colouredPage(TEAL) })));
after(() => site?.close());

/** An unrelated session with an attached client. */
async function bystander(server) {
  const session = await server.create({ headless: true });
  const browser = await attach(server, session);
  const page = await blankPage(browser);
  await page.evaluate(() => (globalThis.memory = 'kept'));
  return {
    session,
    /** Its client still works, in the same page of the same browser. */
    async worksOn() {
      assert.equal(await page.evaluate(() => globalThis.memory), 'kept');
      const { status, restarts, attached } = await server.session(session);
      assert.deepEqual({ status, restarts, attached }, { status: 'READY', restarts: 0, attached: 1 });
    },
  };
}

/** The session is READY again with the same id, endpoint and live view, and with its start URL. */
async function cameBack(server, session, past) {
  const again = await server.sessionThat(session, ({ status, restarts }) => status === 'READY' && restarts === 1, 'READY again', SLOW);
  assert.deepEqual([again.ws_endpoint, again.vnc], [session.ws_endpoint, session.vnc]);
  await site.visit(/^\/$/, past);
  const viewer = await Viewer.connect(server.wsUrl + again.vnc.ws);
  await viewer.shows(TEAL);
  await viewer.close();
  const client = await attach(server, again);
  const pages = client.contexts().flatMap((context) => context.pages());
  assert.equal(pages.length, 1);
  // A client that attaches during a navigation learns of its end a moment later.
  await until(() => pages[0].url() === `${site.url}/`, 'the client to see the page');
  await client.close();
}

describe('with one driver', () => {
  let server, innocent;
  before(async () => {
    server = await Server.start();
    innocent = await bystander(server);
  });
  afterEach(async () => {
    await server.endAllBut(innocent.session);
    const left = displayFiles(server.displays);
    // The leftovers of one test must not fail the next.
    for (const file of left) fs.rmSync(file, { force: true });
    assert.deepEqual(left, [], 'a lock or socket of an X server is left');
  });
  after(() => server?.stop());

  test('a killed browser is restarted under the same id, and its client is closed with 1011 and the reason', async () => {
    const session = await server.create({ vnc: true, start_url: site.url });
    await site.visit(/^\/$/);
    const headers = CLIENT_HEADERS;
    const { closed } = await openSocket(server.wsUrl + session.ws_endpoint, { headers });
    const { pid } = server.browserOf(session);
    const past = site.visits.length;
    process.kill(pid, 'SIGKILL');
    const { code, reason } = await within(closed, 'the client to be closed', 5000);
    assert.equal(code, 1011);
    assert.match(reason, /SIGKILL/);
    await cameBack(server, session, past);
    assert.equal((await server.metrics()).value('camofleet_session_restarts_total', { cause: 'crashed' }), 1);
    await innocent.worksOn();
    await server.end(session);
    assert.equal(await server.usedSlots(), 0);
  });

  test('with on_crash=end a killed browser ends its session as crashed, and its slot is released', async () => {
    const session = await server.create({ vnc: true, on_crash: 'end' });
    assert.equal(await server.usedSlots(), 1);
    process.kill(server.browserOf(session).pid, 'SIGKILL');
    const ended = await server.ended(session);
    assert.deepEqual([ended.status, ended.end_reason, ended.restarts], ['DEAD', 'crashed', 0]);
    assert.match(ended.end_detail, /SIGKILL/);
    assert.equal(await server.usedSlots(), 0);
    assert.match((await server.checks()).display, /12 of 12 slots free/);
    assert.deepEqual(xServers(server.runBase), []);
    await innocent.worksOn();
  });

  test('a killed X server is restarted with its browser, on the same live view', async () => {
    const session = await server.create({ vnc: true, start_url: site.url });
    await site.visit(/^\/$/);
    const viewer = await Viewer.connect(server.wsUrl + session.vnc.ws);
    const past = site.visits.length;
    process.kill(server.xServerOf(session).pid, 'SIGKILL');
    assert.equal((await within(viewer.closed, 'the viewer to be closed', 5000)).code, 1011);
    await cameBack(server, session, past);
    await innocent.worksOn();
    await server.end(session);
  });

  test('with on_crash=end a killed X server ends its session as display_lost', async () => {
    const session = await server.create({ vnc: true, on_crash: 'end' });
    process.kill(server.xServerOf(session).pid, 'SIGKILL');
    const ended = await server.ended(session);
    assert.equal(ended.end_reason, 'display_lost');
    assert.match(ended.end_detail, /X server.*SIGKILL/);
    assert.equal(await server.usedSlots(), 0);
    assert.equal(browsers(server.runBase).length, 1, "only the bystander's browser is left");
    await innocent.worksOn();
  });

  test('a browser that is killed after every start is restarted three times at most', async () => {
    const { session, browser } = await server.createKnown({ headless: true });
    const spared = new Set(browsers(server.runBase).map(({ pid }) => pid).filter((pid) => pid !== browser.pid));
    for (let restarts = 0; restarts <= 3; restarts += 1) {
      const isUp = (view) => view.status === 'READY' && view.restarts === restarts;
      await server.sessionThat(session, isUp, `READY after ${restarts} restarts`, SLOW);
      const [victim, ...others] = browsers(server.runBase).filter(({ pid }) => !spared.has(pid));
      assert.deepEqual(others, []);
      process.kill(victim.pid, 'SIGKILL');
    }
    const ended = await server.ended(session);
    assert.deepEqual([ended.status, ended.end_reason, ended.restarts], ['DEAD', 'crashed', 3]);
    assert.match(ended.end_detail, /SIGKILL.*after 3 restarts in 300 s/);
    assert.equal((await server.request('DELETE', `/sessions/local/${session.id}`)).status, 404);
    await innocent.worksOn();
    assert.equal(launchDirectories(server.runBase).length, 1, "only the bystander's directory is left");
  });
});

test('a killed driver ends its own sessions and no others', async () => {
  const server = await Server.start({ RUNNER_SESSIONS_PER_DRIVER: '2' });
  try {
    const { session: restarting, browser } = await server.createKnown({ headless: true });
    const { session: ending, browser: second } = await server.createKnown({ headless: true, on_crash: 'end' });
    const innocent = await bystander(server);
    const all = drivers(server.runBase);
    assert.equal(all.length, 2);
    const driver = browser.parent;
    assert.equal(second.parent, driver);
    assert.ok(all.some(({ pid }) => pid === driver));
    const { closed } = await openSocket(server.wsUrl + restarting.ws_endpoint, { headers: CLIENT_HEADERS });

    process.kill(driver, 'SIGKILL');
    const { code, reason } = await within(closed, 'the client to be closed', 5000);
    assert.equal(code, 1011);
    assert.notEqual(reason, '');
    const ended = await server.ended(ending);
    assert.equal(ended.end_reason, 'driver_lost');
    // Continuously, because an unused driver is removed after a while.
    const bothUp = until(async () => (await server.checks()).driver.startsWith('2 up'), 'both drivers to be up');
    bothUp.catch(() => {});
    await until(() => !isAlive(browser.pid) && !isAlive(second.pid), "the driver's browsers to be gone", 2000);
    await innocent.worksOn();
    await server.sessionThat(restarting, ({ status, restarts }) => status === 'READY' && restarts === 1, 'READY again', SLOW);
    await innocent.worksOn();
    const client = await attach(server, restarting);
    assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
    const metrics = await server.metrics();
    assert.equal(metrics.value('camofleet_session_restarts_total', { cause: 'driver_lost' }), 1);
    assert.equal(metrics.value('camofleet_session_ends_total', { reason: 'driver_lost' }), 1);
    await bothUp;
    await server.stop();
  } finally {
    server.discard();
  }
});

test('warm browsers and displays that die are replaced and never given to a session', async () => {
  const server = await Server.start({ RUNNER_PREWARM_HEADLESS: '1', RUNNER_PREWARM_VNC: '1' });
  try {
    await server.poolsFull(SLOW);
    const victims = [...browsers(server.runBase), ...xServers(server.runBase)];
    assert.equal(victims.length, 3);
    for (const { pid } of victims) process.kill(pid, 'SIGKILL');
    await until(() => victims.every(({ pid }) => !isAlive(pid)), 'them to be dead', 2000);
    // Requested while the pools contain only dead browsers.
    const sessions = await Promise.all([server.create({ headless: true }), server.create({ vnc: true })]);
    for (const session of sessions) {
      const client = await attach(server, session);
      assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
      await client.close();
    }
    await server.poolsFull(SLOW);
    const old = new Set(victims.map(({ pid }) => pid));
    assert.ok(browsers(server.runBase).every(({ pid }) => !old.has(pid)));
    assert.equal(browsers(server.runBase).length, 4, 'two sessions and two warm ones');
    assert.equal(await server.usedSlots(), 2);
    await server.stop();
  } finally {
    server.discard();
  }
});

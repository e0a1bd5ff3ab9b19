/** Hanging processes count as crashed, and nothing else waits for them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe } from 'node:test';
import { attach, blankPage } from './helpers/playwright.mjs';
import { browsers, drivers, isAlive, marked, residentBytes } from './helpers/processes.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site } from './helpers/site.mjs';
import { until, within } from './helpers/wait.mjs';

/** Short enough to wait for, and long enough for a busy machine. */
const PULSE = { RUNNER_DRIVER_HEARTBEAT_SECONDS: '2', RUNNER_DRIVER_SILENCE_SECONDS: '8', RUNNER_BROWSER_SILENCE_SECONDS: '12', RUNNER_DISPLAY_SILENCE_SECONDS: '8' };
const SLOW = 60_000;
/** A client, as a separate process, that requests more than it reads. */
const FLOODED = path.join(import.meta.dirname, '../../../actors/driver/test/flooded.mjs');

let site;
before(async () => (site = await Site.open({ '/': '<title>here</title>' })));
after(() => site?.close());

describe('in a fleet with warm browsers', () => {
  let server;
  before(async () => (server = await Server.start({ ...PULSE, RUNNER_PREWARM_HEADLESS: '1', CONTROL_WRITE_TIMEOUT: '3' })));
  after(() => server?.stop());

  test('a stopped browser and a stopped X server end their sessions as crashed, and others continue', async () => {
    const [frozen, dark, innocent] = await Promise.all([
      server.create({ vnc: true, on_crash: 'end' }),
      server.create({ vnc: true, on_crash: 'end' }),
      server.create({ headless: true }),
    ]);
    const page = await blankPage(await attach(server, innocent));
    const started = performance.now();
    process.kill(server.browserOf(frozen).pid, 'SIGSTOP');
    process.kill(server.xServerOf(dark).pid, 'SIGSTOP');
    const ended = await Promise.all([frozen, dark].map((session) => server.ended(session, SLOW)));
    assert.ok(performance.now() - started < 30_000, `it took ${performance.now() - started} ms`);
    assert.deepEqual(ended.map(({ end_reason, end_detail }) => [end_reason, end_detail]), [
      ['crashed', 'the browser did not answer for 12s'],
      ['display_lost', 'the X server did not answer for 8s'],
    ]);
    assert.equal(await page.evaluate(() => 6 * 7), 42);
    assert.equal((await server.session(innocent)).restarts, 0);
    await server.endAllBut();
  });

  test('a stopped driver is killed with its browsers, none of which is given to a session, and its sessions are restarted', async () => {
    await until(async () => /^1 of 1 ready/.test((await server.checks()).pool_headless), 'a warm browser', SLOW);
    const session = await server.create({ headless: true });
    await until(async () => /^1 of 1 ready/.test((await server.checks()).pool_headless), 'a warm browser', SLOW);
    const [{ pid }] = drivers(server.runBase);
    process.kill(pid, 'SIGSTOP');
    const other = await server.create({ headless: true });
    const page = await blankPage(await attach(server, other));
    await page.goto(site.url);
    assert.equal(await page.title(), 'here', 'a browser given to a session works');
    await server.sessionThat(session, ({ status, restarts }) => status === 'READY' && restarts === 1, 'READY again', SLOW);
    assert.equal(isAlive(pid), false);
    assert.equal((await server.session(other)).restarts, 0);
    await server.endAllBut();
  });

  test("a client's slow pattern affects only its own session", async () => {
    const [hostile, innocent] = await Promise.all([server.create({ headless: true }), server.create({ headless: true })]);
    const [attacker, bystander] = await Promise.all([attach(server, hostile), attach(server, innocent)]);
    const page = await blankPage(bystander);
    const left = once(attacker, 'disconnected');
    const context = await attacker.newContext();
    await context.route(/^http:\/\/.*\/(a+)+$/, (route) => route.continue());
    const failed = (await context.newPage()).goto(`${site.url}/${'a'.repeat(60)}!`).then(() => null, ({ message }) => message);
    const started = performance.now();
    assert.equal(await page.evaluate(() => 6 * 7), 42);
    await within(left, 'the client to be disconnected', SLOW);
    assert.ok(performance.now() - started < 15_000);
    assert.match(await failed, /a client's pattern took too long to match/);
    assert.deepEqual((await Promise.all([hostile, innocent].map((session) => server.session(session)))).map(({ status, restarts }) => [status, restarts]), [['READY', 0], ['READY', 0]]);
    await blankPage(await attach(server, hostile));
    await server.endAllBut();
  });

  test('a client that reads nothing is disconnected, and its driver does not grow', async () => {
    const session = await server.create({ headless: true });
    const [{ pid }] = drivers(server.runBase);
    const before = residentBytes(pid);
    const client = spawn(process.execPath, [FLOODED, server.wsUrl + session.ws_endpoint], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const ended = once(client, 'exit').then(() => Promise.reject(new Error('the client ended before it was stopped')));
      await Promise.race([once(createInterface({ input: client.stdout }), 'line'), ended]);
      ended.catch(() => {});
      client.kill('SIGSTOP');
      await until(async () => (await server.session(session)).attached === 0, 'the client to be disconnected', SLOW);
      assert.ok(residentBytes(pid) - before < 500e6, `${before} → ${residentBytes(pid)} bytes`);
      // Whichever comes first: the time that the relay waits, or the memory that the driver has for it.
      const reasons = /the client read nothing for 3s|a client that does not read was disconnected: 128 MiB were buffered/;
      assert.ok(server.logLines().some((line) => reasons.test(line)), server.log());
    } finally {
      client.kill('SIGKILL');
    }
    await server.endAllBut();
  });

  test('a client opens no file of the server, and half an emoji breaks nothing', async () => {
    const session = await server.create({ headless: true });
    const browser = await attach(server, session);
    for (const address of ['file:///etc/hostname', 'FILE:/etc/hostname', 'file://localhost/etc/hostname']) {
      const page = await blankPage(browser);
      await assert.rejects(page.goto(address), address);
      assert.match(page.url(), /blockedByPolicy|about:blank/, address);
    }
    const page = await blankPage(browser);
    await page.goto(site.url);
    assert.equal(await page.title(), 'here', 'everything else is open');
    const [{ argv }] = browsers(server.runBase);
    assert.ok(argv[0].startsWith(server.runBase), argv[0]);
    await browser.close();

    const emoji = await server.create({ headless: true, start_url: `https://[${'😀'.repeat(700)}` });
    const { start_url_error } = await server.sessionThat(emoji, (view) => view.start_url_error, 'told of its start URL');
    assert.match(start_url_error, /😀/u);
    await server.endAllBut();
  });
});

test('a stopped x11vnc ends its session as display_lost', async () => {
  const server = await Server.start({ ...PULSE, RUNNER_VNC_BACKEND: 'x11vnc' });
  try {
    const session = await server.create({ vnc: true, on_crash: 'end' });
    const { pid } = marked(server.runBase).find(({ argv }) => path.basename(argv[0]) === 'x11vnc');
    process.kill(pid, 'SIGSTOP');
    const { end_reason, end_detail } = await server.ended(session, SLOW);
    assert.deepEqual([end_reason, end_detail], ['display_lost', 'the X or VNC server did not answer for 8s']);
  } finally {
    await server.stop();
  }
});

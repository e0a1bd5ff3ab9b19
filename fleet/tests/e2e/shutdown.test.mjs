/** camofleet ends, cleanly or not: nothing of it is left, and the next start is clean. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { openSocket } from './helpers/http.mjs';
import { CLIENT_HEADERS, attach, blankPage } from './helpers/playwright.mjs';
import { browsers, displayFiles, drivers, runDirectories, xServers } from './helpers/processes.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { Server, temporaryDirectory, test } from './helpers/server.mjs';
import { until, within } from './helpers/wait.mjs';

const POOLS = { RUNNER_PREWARM_HEADLESS: '1', RUNNER_PREWARM_VNC: '1' };

/** A server with two warm and two live sessions, each headless and with a live view. */
async function busyServer(options) {
  const server = await Server.start(POOLS, options);
  await server.poolsFull();
  const sessions = [await server.create({ headless: true }), await server.create({ vnc: true })];
  await server.poolsFull();
  assert.deepEqual([browsers, xServers, drivers].map((list) => list(server.runBase).length), [4, 2, 1]);
  return { server, sessions };
}

test('a SIGKILL of camofleet ends all its processes within 2 seconds, and its next start cleans up', async () => {
  const runBase = temporaryDirectory();
  const { server } = await busyServer({ runBase });
  let next;
  try {
    server.kill('SIGKILL');
    assert.equal((await server.awaitEnd()).signal, 'SIGKILL');
    await server.nothingIsLeft(2000);
    const [left, ...others] = runDirectories(runBase);
    assert.deepEqual(others, []);

    // On the same displays, which are usable only if the killed X servers' files were removed.
    next = await Server.start({ ...POOLS, RUNNER_VNC_DISPLAY_MIN: String(server.displays.first) }, { runBase });
    assert.ok(!fs.existsSync(left), 'the run directory of the killed one is removed');
    assert.equal(runDirectories(runBase).length, 1);
    await next.poolsFull();
    assert.deepEqual(
      xServers(runBase).map(({ argv }) => argv[1]),
      [`:${server.displays.first}`],
    );
    const sockets = displayFiles(server.displays).filter((file) => !file.endsWith('-lock'));
    assert.deepEqual(sockets, [`/tmp/.X11-unix/X${server.displays.first}`]);
    await next.stop();
    assert.deepEqual(runDirectories(runBase), []);
  } finally {
    next?.discard();
    server.discard();
    fs.rmSync(runBase, { recursive: true, force: true });
  }
});

test('two camofleets share a run directory without removing each other\'s files', async () => {
  const runBase = temporaryDirectory();
  const first = await Server.start({}, { runBase });
  let second;
  try {
    const session = await first.create({ headless: true });
    second = await Server.start({}, { runBase });
    assert.equal(runDirectories(runBase).length, 2);
    const client = await attach(first, session);
    assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
    await client.close();
    second.kill('SIGTERM');
    assert.equal((await second.awaitEnd()).code, 0);
    assert.equal((await first.session(session)).status, 'READY');
    assert.equal(runDirectories(runBase).length, 1);
  } finally {
    second?.discard();
    await first.stop();
    fs.rmSync(runBase, { recursive: true, force: true });
  }
});

test('SIGTERM ends everything within 5 seconds with exit status 0, and clients and viewers get the reason', async () => {
  const { server, sessions } = await busyServer();
  try {
    const client = await openSocket(server.wsUrl + sessions[0].ws_endpoint, { headers: CLIENT_HEADERS });
    const viewer = await Viewer.connect(server.wsUrl + sessions[1].vnc.ws);
    const started = Date.now();
    server.kill('SIGTERM');
    assert.deepEqual(await server.awaitEnd(5000), { code: 0, signal: null });
    await server.nothingIsLeft(Math.max(0, 5000 - (Date.now() - started)));
    await until(() => /camofleet serve has stopped$/.test(server.logLines().at(-1)), 'the last line of its log', 1000);
    assert.deepEqual(runDirectories(server.runBase), []);
    assert.deepEqual(displayFiles(server.displays), []);
    const { code, reason } = await within(client.closed, 'the client to be closed', 1000);
    assert.equal(code, 1011);
    assert.match(reason, /shut|shutting/);
    assert.equal((await within(viewer.closed, 'the viewer to be closed', 1000)).code, 1011);
  } finally {
    server.discard();
  }
});

test('SIGTERM during launches ends them too, and answers their requests', async () => {
  const server = await Server.start({ ...POOLS, RUNNER_LAUNCH_PERMITS: '4' });
  try {
    const requests = [{ headless: true }, { vnc: true }].map((body) => server.request('POST', '/sessions', { body }));
    await until(async () => (await server.sessions()).length === 2, 'both sessions to be there');
    await until(() => browsers(server.runBase).length >= 2, 'browsers to be on their way');
    assert.ok((await server.sessions()).every(({ status }) => status === 'INIT'));
    server.kill('SIGTERM');
    assert.deepEqual(await server.awaitEnd(5000), { code: 0, signal: null });
    await server.nothingIsLeft(500);
    assert.deepEqual(runDirectories(server.runBase), []);
    assert.deepEqual(displayFiles(server.displays), []);
    for (const { status, json } of await Promise.all(requests)) {
      assert.deepEqual([status, json.code], [503, 'draining']);
    }
  } finally {
    server.discard();
  }
});

test('SIGINT (Ctrl+C) shuts down cleanly too', async () => {
  const server = await Server.start();
  try {
    await server.create({ headless: true });
    server.kill('SIGINT');
    assert.deepEqual(await server.awaitEnd(5000), { code: 0, signal: null });
    await server.nothingIsLeft(500);
  } finally {
    server.discard();
  }
});

test('SIGHUP shuts down like SIGTERM, unless it was started with nohup', async () => {
  const server = await Server.start();
  try {
    await server.create({ headless: true });
    server.kill('SIGHUP');
    assert.deepEqual(await server.awaitEnd(), { code: 0, signal: null });
    await server.nothingIsLeft(2000);
  } finally {
    server.discard();
  }
  const kept = await Server.start({}, { wrapper: ['nohup'] });
  try {
    kept.kill('SIGHUP');
    await kept.end(await kept.create({ headless: true }));
  } finally {
    await kept.stop();
  }
});

test('it may open as many files as the system allows, and its displays no more than they need', async () => {
  const server = await Server.start({}, { wrapper: ['prlimit', '--nofile=512:8192'] });
  const softLimit = (pid) => /^Max open files +(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/limits`, 'utf8'))[1];
  try {
    await server.create({ vnc: true });
    assert.equal(softLimit(server.pid), '8192');
    assert.deepEqual(xServers(server.runBase).map(({ pid }) => softLimit(pid)), ['1024']);
  } finally {
    await server.stop();
  }
});

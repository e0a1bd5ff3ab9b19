/** Failing starts: one line that names the remedy, and an exit status for each kind of error. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe } from 'node:test';
import { attach, blankPage } from './helpers/playwright.mjs';
import { browsers } from './helpers/processes.mjs';
import { pathWith, standIn } from './helpers/programs.mjs';
import { Server, run, temporaryDirectory, test } from './helpers/server.mjs';

const BAD_SETTINGS = 64;
const UNAVAILABLE = 69;

let directory;
before(() => (directory = temporaryDirectory()));
after(() => fs.rmSync(directory, { recursive: true, force: true }));

/** Expects that the binary exits with a status and prints only one line about it. */
async function refuses({ args = ['serve'], settings = {}, status, says }) {
  const { status: actual, stdout, stderr } = await run(args, settings);
  assert.equal(actual, status, stderr);
  assert.equal(stdout, '');
  assert.equal(stderr.trim().split('\n').length, 1, stderr);
  for (const pattern of says) assert.match(stderr, pattern);
}

test('without a browser', () =>
  refuses({
    settings: { PATH: pathWith(directory, 'node'), RUNNER_ENGINE: 'auto', HOME: directory, XDG_CACHE_HOME: directory },
    status: UNAVAILABLE,
    says: [/apt-get install firefox-esr/, /RUNNER_FIREFOX_PATH/, /camoufox/i],
  }));

test('without the configured engine', () =>
  refuses({
    settings: { RUNNER_ENGINE: 'camoufox', HOME: directory, XDG_CACHE_HOME: directory },
    status: UNAVAILABLE,
    says: [/no Camoufox found/, /camofleet setup camoufox/],
  }));

test('with a browser path that does not exist', () =>
  refuses({
    settings: { RUNNER_FIREFOX_PATH: '/nowhere/firefox' },
    status: UNAVAILABLE,
    says: [/RUNNER_FIREFOX_PATH: \/nowhere\/firefox is not an executable/],
  }));

test('without Node', () =>
  refuses({
    settings: { PATH: pathWith(directory, 'firefox-esr') },
    status: UNAVAILABLE,
    says: [/install Node 20/, /RUNNER_NODE_PATH/],
  }));

test('without the driver', () =>
  refuses({ settings: { RUNNER_DRIVER_DIR: directory }, status: UNAVAILABLE, says: [/driver\.mjs/, /RUNNER_DRIVER_DIR/] }));

test('with a driver whose packages are not installed', async () => {
  const driver = fs.mkdtempSync(path.join(directory, 'driver-'));
  fs.writeFileSync(path.join(driver, 'driver.mjs'), '');
  await refuses({ settings: { RUNNER_DRIVER_DIR: driver }, status: UNAVAILABLE, says: [/npm ci/] });
});

test('on a port that is in use', async () => {
  const other = net.createServer();
  await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve));
  const port = String(other.address().port);
  try {
    await refuses({ settings: { CONTROL_PORT: port }, status: UNAVAILABLE, says: [new RegExp(`127\\.0\\.0\\.1:${port}`), /CONTROL_PORT/] });
  } finally {
    other.close();
  }
});

test('with a run directory that can not be created', async () => {
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, '');
  await refuses({ settings: { RUNNER_RUN_DIR: path.join(file, 'below') }, status: UNAVAILABLE, says: [/RUNNER_RUN_DIR/] });
});

test('with a settings file that can not be read', () =>
  refuses({ args: ['serve', '--config', '/nowhere/fleet.toml'], status: BAD_SETTINGS, says: [/cannot read \/nowhere\/fleet\.toml/, /No such file/] }));

test('with a settings file that is not valid TOML', async () => {
  const file = path.join(directory, 'broken.toml');
  fs.writeFileSync(file, '[runner\nmax_sessions = 1\n');
  await refuses({ args: ['serve', '--config', file], status: BAD_SETTINGS, says: [/broken\.toml/] });
});

describe('with a setting that is', () => {
  for (const [what, settings, says] of [
    ['no number', { RUNNER_MAX_SESSIONS: 'many' }, [/RUNNER_MAX_SESSIONS: "many"/, /1 to 10000/]],
    ['out of range', { RUNNER_PREWARM_HEADLESS: '65' }, [/RUNNER_PREWARM_HEADLESS: "65"/, /0 to 64/]],
    ['none of its choices', { RUNNER_VNC_BACKEND: 'rdp' }, [/RUNNER_VNC_BACKEND: "rdp"/, /xvnc/]],
    ['a pool with a field that requests lack', { RUNNER_POOLS: '[{"name": "a", "count": 1, "request": {"heedless": true}}]' }, [/RUNNER_POOLS/, /no field "heedless"/]],
    ['an empty range', { RUNNER_VNC_PORT_MIN: '6000', RUNNER_VNC_PORT_MAX: '5999' }, [/RUNNER_VNC_PORT_MIN/, /RUNNER_VNC_PORT_MAX/]],
  ]) {
    test(what, () => refuses({ settings, status: BAD_SETTINGS, says }));
  }
});

test('with an unknown option, it says so and exits like for an invalid setting', async () => {
  const { status, stderr } = await run(['serve', '--prot', '1']);
  assert.equal(status, BAD_SETTINGS);
  assert.match(stderr, /--prot/);
});

test('without display tools it starts, warns in one line, and is healthy', async () => {
  const server = await Server.start({ PATH: pathWith(directory, 'node', 'firefox-esr'), RUNNER_PREWARM_VNC: '1' });
  try {
    const warnings = server.logLines().filter((line) => / WARN /.test(line));
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(warnings[0], /apt-get install tigervnc-standalone-server/);
    const { status, workers } = (await server.request('GET', '/health')).json;
    assert.deepEqual([status, workers[0].healthy, workers[0].supports_vnc], ['ok', true, false]);
    const { checks, failing, facts } = workers[0].detail;
    assert.match(checks.display, /tigervnc/);
    assert.deepEqual([failing, facts.slots, facts.pools, facts.defaults.headless], [[], null, {}, true]);
  } finally {
    await server.stop();
  }
});

test('where chroot is refused in user namespaces, browsers run without them', async () => {
  const refusing = path.dirname(standIn(directory, 'unshare', 'exit 1'));
  const server = await Server.start({ PATH: `${refusing}:${process.env.PATH}` });
  try {
    assert.equal(server.logLines().filter((line) => /without user namespaces/.test(line)).length, 1);
    const session = await server.create({ headless: true });
    assert.deepEqual(browsers(server.runBase).map(({ env }) => env.MOZ_ASSUME_USER_NS), ['0']);
    const browser = await attach(server, session);
    await (await blankPage(browser)).goto('data:text/html,<p>here</p>');
    await browser.close();
  } finally {
    await server.stop();
  }
});

test('a session requested as soon as camofleet reports that it is up is created', async () => {
  const server = await Server.start({}, { healthy: false });
  try {
    await server.create({ headless: true });
  } finally {
    await server.stop();
  }
});

test('the version and the current settings are printed without starting anything', async () => {
  const version = await run(['--version']);
  assert.deepEqual([version.status, version.stderr], [0, '']);
  assert.match(version.stdout, /^camofleet \d+\.\d+\.\d+ \(([0-9a-f]{12}|unknown commit)\)\n$/);
  const config = await run(['config'], { CONTROL_API_TOKEN: 'verysecret', RUNNER_MAX_SESSIONS: '7' });
  assert.equal(config.status, 0, config.stderr);
  assert.match(config.stdout, /RUNNER_MAX_SESSIONS=7 +# /);
  assert.doesNotMatch(config.stdout, /verysecret/);
});

/** Foreign files beside camofleet's are kept, and camofleet copes with files that are removed. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { run, Server, temporaryDirectory, test } from './helpers/server.mjs';
import { runDirectories } from './helpers/processes.mjs';
import { until } from './helpers/wait.mjs';

let directory;
before(() => (directory = temporaryDirectory()));
after(() => fs.rmSync(directory, { recursive: true, force: true }));

/** A user's directory, with all its content. */
function home() {
  const base = fs.mkdtempSync(path.join(directory, 'home-'));
  for (const file of ['Documents/thesis.odt', 'Documents/lock', '12-abcdef/lock', '13-abcdef/camofleet.json', 'photos/lock']) {
    fs.mkdirSync(path.join(base, path.dirname(file)), { recursive: true });
    fs.writeFileSync(path.join(base, file), file);
  }
  return base;
}

const tree = (base) => fs.readdirSync(base, { recursive: true }).sort();

test("a user's directories in RUNNER_RUN_DIR are kept, also through a kill and a second start", async () => {
  const runBase = home();
  const before = tree(runBase);
  const own = path.join(runBase, `camofleet-${process.getuid()}`);
  const settings = { RUNNER_PREWARM_VNC: '1' };
  const first = await Server.start(settings, { runBase });
  await first.poolsFull();
  const [killed] = runDirectories(own);
  first.kill('SIGKILL');
  await first.awaitEnd();
  const second = await first.again();
  try {
    await second.create({ headless: true });
    const removal = second.logLines().filter((line) => line.includes(`removing ${killed}`));
    assert.equal(removal.length, 1, second.log());
    assert.match(removal[0], /launch-\d+/, 'it is logged with what was in it');
    assert.equal(fs.existsSync(killed), false);
    assert.equal(runDirectories(own).length, 1);
    const strangers = tree(runBase).filter((name) => !name.startsWith(path.basename(own)));
    assert.deepEqual(strangers, before);
  } finally {
    await second.stop();
  }
  assert.deepEqual(tree(runBase), [...before, path.basename(own), `${path.basename(own)}/gate`].sort());
});

test('a symbolic link as RUNNER_RUN_DIR is refused, and its target is kept', async () => {
  const [target, link] = [home(), path.join(directory, 'link')];
  const before = tree(target);
  fs.symlinkSync(target, link);
  const { status, stderr } = await run(['serve'], { RUNNER_RUN_DIR: link });
  assert.equal(status, 69, stderr);
  assert.match(stderr, /symbolic link to .*home-.*RUNNER_RUN_DIR/);
  assert.deepEqual(tree(target), before);
});

test('a running camofleet keeps its directory when its lock file is removed and another one starts', async () => {
  const first = await Server.start();
  try {
    const session = await first.create({ headless: true });
    const [own] = runDirectories(first.runBase);
    fs.rmSync(path.join(own, 'lock'));
    const second = await Server.start({}, { runBase: first.runBase });
    second.kill('SIGTERM');
    await second.awaitEnd();
    assert.deepEqual(runDirectories(first.runBase), [own]);
    assert.equal((await first.session(session)).status, 'READY');
    await first.end(session);
  } finally {
    await first.stop();
  }
});

test('a removed run directory is created again for the next create', async () => {
  const server = await Server.start();
  try {
    const [own] = runDirectories(server.runBase);
    fs.rmSync(server.runBase, { recursive: true });
    const session = await server.create({ vnc: true });
    assert.deepEqual(runDirectories(server.runBase), [own]);
    await server.end(session);
    // A problem that can't be repaired is reported by a check, before and after a create fails because of it.
    fs.rmSync(server.runBase, { recursive: true });
    fs.writeFileSync(server.runBase, 'in the way');
    const refused = await server.request('POST', '/sessions', { body: { headless: true } });
    assert.equal(refused.status, 502);
    assert.match(refused.json.detail, new RegExp(own));
    const { workers } = (await server.request('GET', '/health')).json;
    assert.equal(workers[0].healthy, false);
    assert.match(workers[0].detail.checks.run_directory, new RegExp(own));
    fs.rmSync(server.runBase);
    // A request that names an unhealthy worker is sent to it.
    await server.create({ headless: true, worker: 'local' });
    assert.equal((await server.request('GET', '/health')).json.status, 'ok');
  } finally {
    await server.stop();
  }
});

test('in a directory that others can write to it uses a private one, and notices when that is replaced', async () => {
  const runBase = fs.mkdtempSync(path.join(directory, 'shared-'));
  fs.chmodSync(runBase, 0o777);
  const own = path.join(runBase, `camofleet-${process.getuid()}`);
  const server = await Server.start({}, { runBase });
  try {
    assert.match(server.log(), /not safe from other users: .*chmod \+t .*shared-/);
    await server.end(await server.create({ headless: true }));
    assert.equal(runDirectories(own).length, 1);
    assert.equal(fs.statSync(own).mode & 0o777, 0o700);
    fs.renameSync(own, path.join(runBase, 'away'));
    fs.mkdirSync(own);
    fs.chmodSync(own, 0o777);
    const refused = await server.request('POST', '/sessions', { body: { headless: true } });
    assert.equal(refused.status, 502);
    assert.match(refused.json.detail, /something else is in the place of .*chmod \+t/);
    assert.deepEqual(fs.readdirSync(own), []);
    fs.rmdirSync(own);
    fs.renameSync(path.join(runBase, 'away'), own);
    await server.end(await server.create({ headless: true, worker: 'local' }));
  } finally {
    await server.stop();
  }
  assert.deepEqual(tree(runBase), [path.basename(own), `${path.basename(own)}/gate`]);
});

test('it warns of profiles in a directory that others can write to, with the remedy', async () => {
  const profiles = fs.mkdtempSync(path.join(directory, 'profiles-'));
  fs.chmodSync(profiles, 0o777);
  const server = await Server.start({ RUNNER_PROFILES_DIR: profiles });
  try {
    await until(() => /profiles are not safe from other users: .*chmod \+t .*profiles-/.test(server.log()), 'the warning');
  } finally {
    await server.stop();
  }
});

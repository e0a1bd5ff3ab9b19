import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withDriver, writeExecutable } from './harness.mjs';

const STAND_IN = fileURLToPath(new URL('./standin-camoufox.mjs', import.meta.url));
const INHERITED = { CAMOU_CONFIG_9: '{"driver":1}', CAMOU_CONFIG: 'x', CAMOU_PREFS_9: '{"driver":1}', CAMOU_PREFS: 'x' };

/** Writes a stand-in Camoufox; `recorded` reads what its process `pid` was started with. */
function standIn(directory) {
  const records = path.join(directory, 'records');
  fs.mkdirSync(records);
  const executable = writeExecutable(path.join(directory, 'camoufox-bin'), `#!/bin/sh\nexec "${process.execPath}" "${STAND_IN}" "${records}" "$@"\n`);
  return { executable, recorded: (pid) => JSON.parse(fs.readFileSync(path.join(records, `${pid}.json`), 'utf8')) };
}

/** A launch of Camoufox as camofleet requests it. */
function camoufox(directory, executable, machine = {}) {
  const fonts = path.join(directory, 'fonts.conf');
  fs.writeFileSync(fonts, '<fontconfig/>');
  return {
    engine: 'camoufox',
    executable,
    headless: false,
    env: { PATH: process.env.PATH, HOME: directory, DISPLAY: ':99', CAMOU_CONFIG_9: '{"launch":1}', CAMOU_PREFS_9: '{}', OWN: 'kept' },
    preferences: { 'camofleet.test': 7, 'of.the.machine': true },
    window: { width: 1920, height: 1080 },
    machine: {
      env: { CAMOU_CONFIG_1: '{"a":1.0', CAMOU_CONFIG_2: ',"b":2}', CAMOU_PREFS_1: '{"of.the.machine":true}', FONTCONFIG_FILE: fonts },
      arguments: ['--of-the-machine'],
      window: { x: 3, y: 25, width: 1900, height: 1040 },
      ...machine,
    },
  };
}

test('a Camoufox is the machine that it is given, and no inherited one', withDriver(async (driver) => {
  const { executable, recorded } = standIn(driver.directory);
  const options = camoufox(driver.directory, executable);
  const { pid, browser_version: version } = await driver.launched('a', options);
  assert.equal(version, '156.0.1');
  const { env, args, window, command } = recorded(pid);
  const machine = Object.fromEntries(Object.entries(env).filter(([name]) => /^(CAMOU|FONTCONFIG)/.test(name)));
  assert.deepEqual(machine, options.machine.env);
  assert.equal(env.OWN, 'kept');
  assert.equal(env.TMPDIR, path.join(driver.directoryOf('a'), 'tmp'));
  assert.ok(args.includes('--of-the-machine'), args.join(' '));
  assert.deepEqual(window, { screenX: '3', screenY: '25', width: '1900', height: '1040', sizemode: 'normal' });
  const preferences = Object.fromEntries(command.params.userPrefs.map(({ name, value }) => [name, value]));
  assert.equal(preferences['camofleet.test'], 7);
  assert.equal(preferences['of.the.machine'], true);
  await driver.done({ type: 'check', id: 'a', timeout_ms: 5000 });
  assert.deepEqual(fs.readdirSync(driver.systemTmp), []);
}, INHERITED));

test('a headless one has a screen of the size of its machine', withDriver(async (driver) => {
  const { executable, recorded } = standIn(driver.directory);
  const { pid } = await driver.launched('a', { ...camoufox(driver.directory, executable), headless: true });
  const { env } = recorded(pid);
  assert.deepEqual([env.MOZ_HEADLESS_WIDTH, env.MOZ_HEADLESS_HEIGHT], ['1920', '1080']);
}));

test('a stock Firefox gets nothing that would make it a machine, and a Camoufox is not launched as none', withDriver(async (driver) => {
  const { executable } = standIn(driver.directory);
  const options = camoufox(driver.directory, executable);
  const refusal = async (id, changed) => {
    driver.launch(id, { ...options, ...changed });
    return (await driver.event('invalid', { id })).error;
  };
  assert.match(await refusal('none', { machine: null }), /machine is .*: it must be/);
  assert.match(await refusal('half', { machine: { env: {}, arguments: [] } }), /machine is/);
  assert.match(await refusal('odd', { machine: { ...options.machine, env: { A: 1 } } }), /machine is/);
  assert.match(await refusal('stock', { engine: 'firefox' }), /machine is .*: it must be missing/);
}));

test('the last lines of a Camoufox that ends while it starts are in the error', withDriver(async (driver) => {
  const executable = writeExecutable(path.join(driver.directory, 'broken'), '#!/bin/sh\necho "Error: cannot open display: :99" >&2\nexit 1\n');
  driver.launch('a', camoufox(driver.directory, executable));
  const { error } = await driver.event('launch_failed', { id: 'a' });
  assert.match(error, /broken ended with exit status 1 before it was ready; it printed: .*cannot open display: :99; launch it headless, or set DISPLAY/);
}));

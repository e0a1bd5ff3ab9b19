/** The driver neither removes nor kills what it did not create. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { killRemaining } from '../lib/isolation.mjs';
import { shareStartupCaches } from '../lib/startupCaches.mjs';

/** A temporary directory with the given profiles: file contents by path. */
function profiles(context, files) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'camofleet-profiles-'));
  context.after(() => fs.rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.join(directory, path.dirname(name)), { recursive: true });
    fs.writeFileSync(path.join(directory, name), text);
  }
  return (name) => path.join(directory, name);
}

const DONOR = {
  'donor/compatibility.ini': 'donor',
  'donor/startupCache/scriptCache.bin': 'donor',
  'donor/startupCache/scriptCache-child.bin': 'donor',
};

test('a profile that has caches of its own keeps them', (context) => {
  const at = profiles(context, { ...DONOR, 'kept/startupCache/scriptCache.bin': 'own', 'kept/startupCache/webext.sc.lz4': 'own' });
  assert.equal(shareStartupCaches(at('kept'), [at('nowhere'), at('donor')]), false);
  assert.deepEqual(fs.readdirSync(at('kept/startupCache')).sort(), ['scriptCache.bin', 'webext.sc.lz4']);
  assert.equal(fs.readFileSync(at('kept/startupCache/scriptCache.bin'), 'utf8'), 'own');
  assert.equal(fs.existsSync(at('kept/compatibility.ini')), false);
});

test('a profile that a browser used before keeps the file that says so', (context) => {
  const at = profiles(context, { ...DONOR, 'kept/compatibility.ini': 'own' });
  assert.equal(shareStartupCaches(at('kept'), [at('donor')]), false);
  assert.deepEqual([fs.readdirSync(at('kept')), fs.readFileSync(at('kept/compatibility.ini'), 'utf8')], [['compatibility.ini'], 'own']);
});

test('a new profile gets all caches of the first complete donor, and none of incomplete ones', (context) => {
  const at = profiles(context, { ...DONOR, 'new/prefs.js': '', 'poor/startupCache/scriptCache.bin': 'poor' });
  assert.equal(shareStartupCaches(at('new'), [at('poor')]), false);
  assert.deepEqual(fs.readdirSync(at('new')), ['prefs.js']);
  assert.equal(shareStartupCaches(at('new'), [at('poor'), at('donor')]), true);
  assert.equal(fs.readFileSync(at('new/startupCache/scriptCache.bin'), 'utf8'), 'donor');
});

test('a process group is not killed by a number that an unrelated process has by now', async (context) => {
  const stranger = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  context.after(() => stranger.kill('SIGKILL'));
  await once(stranger, 'spawn');
  killRemaining(stranger.pid);
  const status = fs.readFileSync(`/proc/${stranger.pid}/status`, 'utf8');
  assert.match(status, /^State:\t[^ZX]/m);
  assert.match(status, /^ShdPnd:\t0+$/m, 'no signal is on its way to it');
});

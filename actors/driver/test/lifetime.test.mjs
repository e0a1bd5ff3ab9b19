import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { TestDriver, groupMembers, isAlive, until, withDriver, writeSleeper } from './harness.mjs';

/** A driver with one ready and one half-launched browser, and the process ids of both. */
async function busyDriver(driver) {
  const pidFile = path.join(driver.directory, 'pids');
  const executable = writeSleeper(path.join(driver.directory, 'sleeper'), pidFile);
  driver.launch('half', { executable });
  const { pid } = await driver.launched('whole');
  await until(() => fs.existsSync(pidFile), 'the half-launched browser');
  const half = fs.readFileSync(pidFile, 'utf8').trim().split(' ').map(Number);
  assert.ok(half.every(isAlive));
  return { half, whole: pid };
}

for (const [name, end] of [
  ['the end of stdin', (driver) => driver.process.stdin.end()],
  ['SIGTERM', (driver) => driver.process.kill('SIGTERM')],
]) {
  test(`${name} ends the driver and every browser within a second`, withDriver(async (driver) => {
    const { half, whole } = await busyDriver(driver);
    const started = Date.now();
    end(driver);
    assert.deepEqual(await driver.exited, { code: 0, signal: null });
    await until(() => groupMembers(whole).length === 0 && !half.some(isAlive), 'all processes to be gone');
    assert.ok(Date.now() - started < 1000, `it took ${Date.now() - started} ms`);
  }));
}

test('a SIGKILL of the driver kills the browsers', withDriver(async (driver) => {
  const { half, whole } = await busyDriver(driver);
  driver.process.kill('SIGKILL');
  await driver.exited;
  await until(() => groupMembers(whole).length === 0 && !isAlive(half[0]), 'the browsers to be gone', 2000);
  // The stand-in's child is not a browser, so it does not die with its parent.
  if (isAlive(half[1])) process.kill(half[1], 'SIGKILL');
}));

test('the driver ends when nobody reads its events any more', async () => {
  const driver = new TestDriver();
  await driver.event('hello');
  driver.process.stdout.destroy();
  driver.send('one more line, whose answer nobody reads');
  assert.deepEqual(await driver.exited, { code: 0, signal: null });
  await driver.stop();
});

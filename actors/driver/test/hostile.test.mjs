import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { firefox } from 'playwright-core';
import { until, withDriver } from './harness.mjs';

test('a check fails while a browser is stopped, and succeeds when it continues', withDriver(async (driver) => {
  const { pid } = await driver.launched('a');
  const check = (timeout_ms) => driver.done({ type: 'check', id: 'a', timeout_ms });
  assert.equal((await check(10_000)).error, null);
  process.kill(pid, 'SIGSTOP');
  assert.equal((await check(200)).error, 'the browser did not answer within 200 ms');
  assert.equal((await check(200)).error, 'the browser did not answer within 200 ms');
  process.kill(pid, 'SIGCONT');
  assert.equal((await check(10_000)).error, null);
  assert.match((await driver.done({ type: 'check', id: 'z', timeout_ms: 100 })).error, /no browser z is ready/);
}));

/** A client, as a separate process, that requests more than it reads. */
const FLOODED = path.join(import.meta.dirname, 'flooded.mjs');

test('a client that reads nothing is disconnected before it fills the memory', withDriver(async (driver) => {
  const { endpoint } = await driver.launched('a');
  const memory = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${driver.process.pid}/status`, 'utf8'))[1]) / 1024;
  const before = memory();
  const client = spawn(process.execPath, [FLOODED, endpoint], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise((resolve, reject) => {
      createInterface({ input: client.stdout }).once('line', resolve);
      client.once('exit', () => reject(new Error('the client ended before it was stopped')));
    });
    client.kill('SIGSTOP');
    let most = 0;
    await until(() => {
      most = Math.max(most, memory());
      return /a client that does not read was disconnected: \d+ MiB were buffered for it/.test(driver.stderr);
    }, 'the client to be disconnected');
    assert.ok(most - before < 500, `the driver grew from ${before} to ${most} MiB`);
    assert.equal((await driver.done({ type: 'check', id: 'a', timeout_ms: 25_000 })).error, null, 'the browser lives on');
    console.log(`# the driver had ${Math.round(before)} MiB before and ${Math.round(most)} MiB at most`);
  } finally {
    client.kill('SIGKILL');
  }
}));

test('a client saves downloads on its own machine, and can name no file of the server', withDriver(async (driver) => {
  const { endpoint } = await driver.launched('a');
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'client-'));
  const browser = await firefox.connect(endpoint);
  try {
    const page = await (await browser.newContext()).newPage();
    await page.setContent('<a download="greeting.txt" href="data:text/plain,hello">get it</a>');
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('a')]);
    const [own, foreign] = ['own', 'foreign'].map((name) => path.join(directory, name));
    await download.saveAs(own);
    assert.equal(fs.readFileSync(own, 'utf8'), 'hello');
    // Only a modified client sends this.
    await assert.rejects(download._artifact._channel.saveAs({ path: foreign }), /stream it instead/);
    assert.equal(fs.existsSync(foreign), false);
  } finally {
    await browser.close();
    fs.rmSync(directory, { recursive: true });
  }
}));

test("a page's console does not fill the memory", withDriver(async (driver) => {
  const { endpoint } = await driver.launched('a');
  const browser = await firefox.connect(endpoint);
  const page = await (await browser.newContext()).newPage();
  const logged = async (...values) => {
    const message = page.waitForEvent('console');
    await page.evaluate((all) => console.log(...all), values);
    return (await message).text();
  };
  assert.equal(await logged('short', 7, { key: 'value' }), 'short 7 {key: value}');
  const { length } = await logged('😀'.repeat(70_000));
  assert.ok(length <= 2 * 65_535 + 1 && length > 2 * 65_000, `${length}`);
  assert.ok((await logged(Array.from({ length: 50 }, () => 'x'.repeat(10_000)))).length < 80_000);
  // Above the browser's total they are shorter still.
  await page.evaluate(() => {
    for (let left = 1100; left > 0; left -= 1) console.log('x'.repeat(1 << 16));
  });
  await until(async () => (await logged('x'.repeat(10_000))).length < 10_000, 'the total to be reached');
  await browser.close();
}));

test('texts are truncated and sent by whole characters', withDriver(async (driver) => {
  await driver.launched('a');
  const url = `https://[${'😀'.repeat(700)}`;
  const open = await driver.done({ type: 'open', id: 'a', url, wait: 'load', timeout_ms: 10_000 });
  assert.ok(open.error.isWellFormed() && open.error.includes('😀'), open.error);
  assert.ok([...open.error].length <= 1000);
  driver.send(`{"type":"open","id":"a","request":"half \\ud83d","url":"","wait":"load","timeout_ms":1}`);
  const invalid = await driver.event('invalid');
  assert.deepEqual([invalid.id, invalid.request], ['a', 'half �'], 'a line that is refused names the request it was for');
}));

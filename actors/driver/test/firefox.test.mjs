import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { firefox } from 'playwright-core';
import { groupMembers, until, withDriver } from './harness.mjs';

/** Serves one page with a title on a loopback port during a test. */
async function withPage(work) {
  const server = http.createServer((_, response) => response.end('<title>served</title><h1>hello</h1>'));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${server.address().port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('launches a browser, serves clients, and ends it', withDriver(async (driver) => {
  const ready = await driver.launched('a', { preferences: { 'camofleet.test': 'reached' }, window: { width: 1234, height: 800 } });
  assert.match(ready.endpoint, /^ws:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}$/);
  assert.match(ready.browser_version, /^\d+\.\d/);
  assert.ok(groupMembers(ready.pid).includes(String(ready.pid)), 'the process id is its group id');

  const browser = await firefox.connect(ready.endpoint);
  const page = await (await browser.newContext({ viewport: null })).newPage();
  await page.goto('data:text/html,<title>attached</title>');
  assert.equal(await page.title(), 'attached');
  assert.deepEqual(await page.evaluate(() => [outerWidth, outerHeight, screen.width, screen.height]), [1234, 800, 1234, 800]);
  assert.equal(await page.evaluate(() => typeof RTCPeerConnection), 'undefined');
  const [profile] = fs.readdirSync(path.join(driver.directoryOf('a'), 'tmp')).filter((name) => name.includes('profile'));
  const preferences = fs.readFileSync(path.join(driver.directoryOf('a'), 'tmp', profile, 'user.js'), 'utf8');
  assert.match(preferences, /user_pref\("camofleet.test", "reached"\);/);

  const disconnected = new Promise((resolve) => browser.once('disconnected', resolve));
  driver.send({ type: 'close', id: 'a' });
  assert.deepEqual(await driver.event('exited'), { type: 'exited', id: 'a', code: null, signal: 'SIGKILL', requested: true, reason: null });
  await disconnected;
  await until(() => groupMembers(ready.pid).length === 0, 'its processes to be gone');
  assert.deepEqual(fs.readdirSync(path.join(driver.directoryOf('a'), 'tmp')), [], 'Playwright has cleaned up before exited');
  assert.equal(driver.events.filter(({ type }) => type === 'exited').length, 1);
}));

test('keeps browsers apart, and a crash of one does not affect the other', withDriver(async (driver) => {
  const [a, b] = await Promise.all([driver.launched('a'), driver.launched('b')]);
  const inTmp = (id) => fs.readdirSync(path.join(driver.directoryOf(id), 'tmp')).map((name) => name.replace(/-\w+$/, '')).sort();
  for (const id of ['a', 'b']) {
    const found = inTmp(id);
    assert.equal(found.filter((name) => name === 'playwright_firefoxdev_profile').length, 1, `${id}: ${found}`);
    assert.equal(found.filter((name) => name === 'playwright-artifacts').length, 1, `${id}: ${found}`);
  }

  const client = await firefox.connect(b.endpoint);
  const page = await (await client.newContext()).newPage();

  process.kill(a.pid, 'SIGKILL');
  assert.deepEqual(await driver.event('exited', { id: 'a' }), { type: 'exited', id: 'a', code: null, signal: 'SIGKILL', requested: false, reason: null });
  await until(() => groupMembers(a.pid).length === 0, 'the crashed browser’s other processes to be gone');
  assert.equal(await page.evaluate(() => 6 * 7), 42);
  const again = await driver.launched('a');
  assert.notEqual(again.pid, a.pid);
  await client.close();
  assert.deepEqual(fs.readdirSync(driver.systemTmp), []);
}));

test('opens a URL for clients that attach later, and discards contexts', withDriver((driver) => withPage(async (url) => {
  const { endpoint } = await driver.launched('a');
  const done = await driver.done({ type: 'open', id: 'a', url, wait: 'load', timeout_ms: 10_000 });
  assert.equal(done.error, null);

  const first = await firefox.connect(endpoint);
  const page = first.contexts()[0].pages()[0];
  assert.equal(page.url(), url);
  assert.equal(await page.title(), 'served');
  await (await first.newContext()).newPage();
  await page.evaluate(() => (document.title = 'changed'));
  await first.close();

  const second = await firefox.connect(endpoint);
  assert.equal(second.contexts().length, 2, 'a context outlives the client that made it');
  assert.equal(await second.contexts()[0].pages()[0].title(), 'changed');

  assert.equal((await driver.done({ type: 'discard_contexts', id: 'a' })).error, null);
  const pages = () => second.contexts().map((context) => context.pages().length);
  await until(() => pages().join() === '0', 'the attached client to see them go, and an empty default context');
  await second.close();

  const failed = await driver.done({ type: 'open', id: 'a', url: 'http://127.0.0.1:9/', wait: 'load', timeout_ms: 5000 });
  assert.match(failed.error, /127\.0\.0\.1:9|refused/i);
  assert.doesNotMatch(failed.error, /Call log|\n/);
  const endless = await driver.done({ type: 'open', id: 'a', url: 'not a url', wait: 'load', timeout_ms: 5000 });
  assert.ok(endless.error);
  assert.equal((await driver.done({ type: 'open', id: 'a', url, wait: 'domcontentloaded', timeout_ms: 10_000 })).error, null);
})));

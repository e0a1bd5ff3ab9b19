import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { firefox } from 'playwright-core';
import { withDriver } from './harness.mjs';

/** Serves an empty page at any path during a test. */
async function withPage(work) {
  const server = http.createServer((_, response) => response.end('<title>served</title>'));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${server.address().port}/`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Connects, and waits to be disconnected. */
async function connect(endpoint) {
  const browser = await firefox.connect(endpoint);
  const disconnected = new Promise((resolve) => browser.once('disconnected', resolve));
  return { browser, disconnected };
}

test("a client's endlessly backtracking pattern affects its own session only", withDriver((driver) => withPage(async (url) => {
  const [hostile, bystander] = await Promise.all([driver.launched('hostile'), driver.launched('bystander')]);
  const { browser: other } = await connect(bystander.endpoint);
  const page = await (await other.newContext()).newPage();
  const longest = async (work) => {
    let [slowest, done] = [0, false];
    const turning = (async () => {
      while (!done) {
        const started = performance.now();
        assert.equal(await page.evaluate(() => 6 * 7), 42);
        slowest = Math.max(slowest, performance.now() - started);
      }
    })();
    await work();
    done = true;
    await turning;
    return slowest;
  };

  // Playwright matches all of these in the driver. Each match of the last one stays below the timeout.
  const many = Array.from({ length: 300 }, (_, index) => new RegExp(`/${'a*'.repeat(4)}-{${index + 1}}$`));
  let length = 60;
  // CPU time, as the driver counts it: on a busy machine a match takes long with little of it.
  for (let took = 0; took < 20_000; length += 10) {
    const before = process.cpuUsage();
    many[0].test(`${url}${'a'.repeat(length)}!`);
    took = process.cpuUsage(before).user;
  }
  const attacks = [[/^http:\/\/127.*\/(a+)+$/], [`**/${'*a'.repeat(30)}*c`], many];
  for (const [index, attack] of attacks.entries()) {
    const { browser, disconnected } = await connect(hostile.endpoint);
    const slowest = await longest(async () => {
      const context = await browser.newContext();
      await Promise.all(attack.map((pattern) => context.route(pattern, (route) => route.continue())));
      const target = await context.newPage();
      target.goto(`${url}${'a'.repeat(length)}!`).catch(() => {});
      await disconnected;
    });
    assert.ok(slowest < 5000, `attack ${index}: the bystander waited ${slowest} ms`);
  }
  const exited = await driver.event('exited', { id: 'hostile' });
  assert.equal(exited.requested, false);
  assert.match(exited.reason, /^a client's pattern took too long to match, give a simpler one: \/\\\/a\*a\*a\*a\*-\{\d+\}\$\/$/);
  assert.match(driver.stderr, /launch hostile: a client's pattern .*: \/\^http/);
  driver.send({ type: 'ping' });
  await driver.event('pong');
  assert.equal(await page.evaluate(() => document.readyState), 'complete');
  await other.close();
})));

test('normal patterns match as usual', withDriver((driver) => withPage(async (url) => {
  const { endpoint } = await driver.launched('a');
  const { browser } = await connect(endpoint);
  const context = await browser.newContext();
  const answered = [];
  const answer = (name) => (route) => {
    answered.push(name);
    return route.fulfill({ body: name });
  };
  await context.route(/\/(?<word>[a-z]+)-\d{2,}(\?.*)?$/i, answer('expression'));
  await context.route('**/*.{png,jpg}', answer('glob'));
  await context.route(/^http:\/\/[^/]+\/(x+)+$/, answer('nested'));
  const page = await context.newPage();
  for (const path of ['Some-42?x=1', 'a/b.jpg', 'xxxxxxxx', 'other']) await page.goto(url + path);
  assert.deepEqual(answered, ['expression', 'glob', 'nested']);
  assert.equal(await page.title(), 'served');
  await browser.close();
})));

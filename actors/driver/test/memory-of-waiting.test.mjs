import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Memory, serve, withPage } from './pressure.mjs';

test('calls that a client leaves unanswered fail above a limit', withPage(async ({ context, page, browser }) => {
  const memory = new Memory();
  let answer;
  const answered = new Promise((resolve) => (answer = resolve));
  await page.context().exposeBinding('unanswered', async (_, text) => {
    await answered;
    return text.length;
  });
  const outcomes = page.evaluate(async () => {
    const text = 'x'.repeat(15 << 20);
    const calls = Array.from({ length: 12 }, () => globalThis.unanswered(text).catch((error) => error.message));
    globalThis.refused = [];
    for (const call of calls) void call.then((outcome) => typeof outcome === 'string' && globalThis.refused.push(outcome));
    return Promise.all(calls);
  });
  await page.waitForFunction(() => globalThis.refused?.length >= 8);
  answer();
  assert.deepEqual((await outcomes).filter(Number), Array(4).fill(15 << 20), 'those that fitted were answered');
  assert.match((await outcomes).find((outcome) => typeof outcome === 'string'), /too many calls of this session wait for a client: at most 1000, with 64 MiB together/);
  memory.grewLessThan(700, context);
  // Calls that nobody will answer are dropped with their pages.
  const other = await (await browser.newContext()).newPage();
  await other.exposeBinding('unanswered', () => new Promise(() => {}));
  await other.evaluate(() => {
    for (let count = 0; count < 4; count += 1) void globalThis.unanswered('x'.repeat(15 << 20)).catch(() => {});
  });
  await other.close();
  assert.equal(await page.evaluate(() => globalThis.unanswered('x'.repeat(15 << 20))), 15 << 20);
}));

test('requests that a client leaves unanswered fail above a limit', withPage(async ({ page }) => {
  const server = await serve({});
  await page.goto(server.url);
  const routes = [];
  await page.route(/waiting/, (route) => routes.push(route));
  await page.evaluate(() => {
    globalThis.failed = 0;
    for (let count = 0; count < 1_100; count += 1) fetch(`/waiting?${count}`).catch(() => (globalThis.failed += 1));
  });
  await page.waitForFunction(() => globalThis.failed >= 100);
  assert.equal(await page.evaluate(() => globalThis.failed), 100);
  await routes[0].fulfill({ body: 'here' });
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  server.close();
}));

test('a recording of requests omits bodies above a limit', withPage(async ({ browser }) => {
  const server = await serve({ '/large': (response) => response.end('x'.repeat(15 << 20)) });
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'client-'));
  const file = path.join(directory, 'requests.har');
  const recorded = await browser.newContext({ recordHar: { path: file, content: 'embed' } });
  for (let count = 0; count < 6; count += 1) await recorded.request.get(`${server.url}/large`);
  await recorded.close();
  server.close();
  const sizes = JSON.parse(fs.readFileSync(file, 'utf8')).log.entries.map(({ response: { content } }) => content.text?.length ?? content.comment);
  fs.rmSync(directory, { recursive: true });
  const left = 'left out: a recording has 64 MiB of bodies';
  assert.deepEqual(sizes, [...Array(3).fill(20 << 20), ...Array(3).fill(left)]);
}));

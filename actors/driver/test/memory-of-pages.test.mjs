import assert from 'node:assert/strict';
import fs from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { messageBounds } from '../lib/browserMessages.mjs';
import { truncate, truncateLines } from '../lib/text.mjs';
import { MIB, Memory, withPage } from './pressure.mjs';

test('every text that a page logs or throws is shortened', withPage(async ({ page }) => {
  const [message, error, rejection] = await Promise.all([
    page.waitForEvent('console'),
    page.waitForEvent('pageerror', ({ message }) => message.includes('thrown')),
    page.waitForEvent('pageerror', ({ message }) => message.includes('rejected')),
    page.evaluate(() => {
      const pad = 'x'.repeat(3 << 20);
      const script = document.createElement('script');
      script.src = `data:text/javascript,/*${pad}*/ console.log('logged')`;
      document.head.append(script);
      setTimeout(() => {
        throw new Error(`thrown ${pad}`);
      });
      Promise.reject(new Error(`rejected ${pad}`));
    }),
  ]);
  assert.ok(message.location().url.startsWith('data:text/javascript,/*xxx') && message.location().url.length <= 1 << 16);
  for (const { message, stack } of [error, rejection]) assert.ok(message.length + stack.length < 3 << 16, `${message.length} and ${stack.length}`);
  const [named] = await Promise.all([
    page.waitForEvent('pageerror'),
    page.evaluate(() => {
      const name = 'x'.repeat(3 << 20);
      const object = { [name]() { throw new Error('short'); } };
      setTimeout(() => object[name]());
    }),
  ]);
  assert.equal(named.message, 'short');
  assert.ok(named.stack.length < 2 << 16, `${named.stack.length}`);
  const [many] = await Promise.all([page.waitForEvent('console'), page.evaluate(() => console.log(...Array.from({ length: 100_000 }, (_, index) => index)))]);
  assert.ok(many.args().length < 5_000, `${many.args().length} arguments`);
}));

test('uncaught errors of a page do not fill the memory', withPage(async ({ context, page }) => {
  const memory = new Memory();
  // Firefox prints each of them, and Playwright keeps the last two hundred lines.
  const errors = page.evaluate(async () => {
    const pad = 'x'.repeat(4 << 20);
    for (let count = 0; count < 120; count += 1) {
      setTimeout(() => {
        throw new Error(pad + count);
      });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
  await errors;
  memory.grewLessThan(350, context);
}));

test('long URLs of a page are kept shortened', withPage(async ({ page }) => {
  await page.setContent('<body>');
  await page.evaluate(() => (globalThis.pad = 'x'.repeat(3 << 20)));
  const [frame] = await Promise.all([
    page.waitForEvent('framenavigated', (frame) => frame.parentFrame() && frame.url().startsWith('data:')),
    page.evaluate(() => {
      const frame = document.createElement('iframe');
      frame.src = `data:text/html,${globalThis.pad}`;
      document.body.append(frame);
    }),
  ]);
  assert.ok(frame.url().length <= 1 << 16, `a frame's: ${frame.url().length}`);
  const dialog = page.waitForEvent('dialog');
  const asked = page.evaluate(() => prompt(globalThis.pad, globalThis.pad));
  const shown = await dialog;
  assert.ok(shown.message().length + shown.defaultValue().length <= 2 << 16, "a dialog's texts");
  await shown.accept('fine');
  assert.equal(await asked, 'fine');
  const name = `${'n'.repeat(200)}.txt`;
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.evaluate((name) => Object.assign(document.createElement('a'), { href: `data:application/octet-stream,${globalThis.pad}`, download: name }).click(), name),
  ]);
  assert.ok(download.url().length <= 1 << 16, `a download's: ${download.url().length}`);
  assert.equal(download.suggestedFilename(), name);
  assert.equal(fs.statSync(await saved(download)).size, 3 << 20);
}));

/** Saves a download and returns its path. */
async function saved(download) {
  const file = `${fs.mkdtempSync('/tmp/client-')}/file`;
  await download.saveAs(file);
  process.once('exit', () => fs.rmSync(file.slice(0, -5), { recursive: true, force: true }));
  return file;
}

test("events of Camoufox' protocol are shortened too, but not where a part would be useless", () => {
  const bound = messageBounds();
  const long = 'x'.repeat(3 << 20);
  const length = (message) => JSON.stringify(bound(message)).length;
  const error = { method: 'Page.uncaughtError', sessionId: 's', params: { frameId: 'f', message: long, stack: `${long}@${long}\n`, location: { url: long, lineNumber: 1 } } };
  assert.ok(length(error) < 70_000);
  assert.equal(error.params.location.lineNumber, 1);
  const location = { url: long, lineNumber: 1, columnNumber: 2 };
  assert.ok(length({ method: 'Runtime.console', params: { args: [{ value: long }, { objectId: 'o', subtype: long }], type: 'log', executionContextId: 'e', location } }) < 70_000);
  const worker = { method: 'Page.dispatchMessageFromWorker', params: { workerId: 'w', message: JSON.stringify({ method: 'Runtime.console', params: { args: [{ value: long }], location } }) } };
  assert.ok(length(worker) < 70_000);
  assert.equal(JSON.parse(worker.params.message).params.location.lineNumber, 1);
  for (const [method, params] of Object.entries({
    'Page.workerCreated': { workerId: 'w', frameId: 'f', url: long },
    'Page.dialogOpened': { dialogId: 'd', type: 'prompt', message: long, defaultValue: long },
    'Page.navigationCommitted': { frameId: 'f', url: long, name: long },
    'Page.webSocketCreated': { frameId: 'f', wsid: 'w', requestURL: long },
    'Browser.downloadCreated': { uuid: 'u', url: long, suggestedFileName: 'n' },
    'Network.requestWillBeSent': { requestId: 'r', url: long, headers: Array.from({ length: 50_000 }, () => ({ name: 'n', value: 'v' })), postData: long.repeat(3) },
  })) {
    assert.ok(length({ method, params }) < 200_000, method);
    assert.equal(params.suggestedFileName ?? 'n', 'n');
  }
  assert.ok(length({ method: 'Page.bindingCalled', params: { payload: long } }) > 3 << 20);
  assert.ok(length({ method: 'Network.requestWillBeSent', params: { url: 'u', postData: long } }) > 3 << 20);
  assert.ok(length({ id: 1, result: { value: long } }) > 3 << 20, 'answers are whole');
  // Above the browser's total less of a message is kept, and headers up to the size that servers accept are
  // unchanged.
  for (let left = 2500; left > 0; left -= 1) bound({ method: 'Page.workerCreated', params: { url: 'x'.repeat(70_000) } });
  assert.ok(length({ method: 'Page.workerCreated', params: { url: long } }) < 34_000);
  const headers = Array.from({ length: 90 }, (_, index) => ({ name: `x-${index}`, value: 'v'.repeat(300) }));
  const request = { method: 'Network.requestWillBeSent', params: { url: 'https://example.org/', headers } };
  const before = JSON.stringify(request);
  assert.equal(JSON.stringify(bound(request)), before);
});

test('a truncated text does not keep the rest in memory', () => {
  const kept = [];
  const before = process.memoryUsage();
  for (let left = 100; left > 0; left -= 1) kept.push(truncate(`${left}${'x'.repeat(8 << 20)}`, 1 << 16));
  const grown = (process.memoryUsage().rss - before.rss) / MIB;
  assert.ok(kept.every(({ length }) => length === 1 << 16));
  assert.ok(grown < 400, `${grown} MiB for ${kept.length} texts of 64 KiB`);
});

test('a line that a browser prints is truncated', async () => {
  const stream = new Readable({ read() {} });
  truncateLines(stream, 10);
  for (const part of ['short\n', 'x'.repeat(6), 'x'.repeat(60), `${'x'.repeat(60)}\nnext`, '\n', `\n${'y'.repeat(20)}`]) stream.push(Buffer.from(part));
  stream.push(null);
  const read = Buffer.concat(await stream.toArray()).toString();
  assert.equal(read, `short\n${'x'.repeat(10)}\nnext\n\n${'y'.repeat(10)}`);
});

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';
import { firefox } from 'playwright-core';
import { messageBounds } from '../lib/browserMessages.mjs';
import { cut } from '../lib/text.mjs';
import { TestDriver } from './harness.mjs';

const MIB = 1 << 20;

/** Watches the memory of the driver, in MiB. */
class Memory {
  #most = 0;
  #timer;

  constructor() {
    this.before = this.now();
    this.#timer = setInterval(() => (this.#most = Math.max(this.#most, this.now())), 50);
  }

  now() {
    return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${driver.process.pid}/status`, 'utf8'))[1]) / 1024;
  }

  /** Ends the watch; the driver must not have grown by more than this. */
  grewLessThan(most, context) {
    clearInterval(this.#timer);
    const peak = Math.max(this.#most, this.now());
    context.diagnostic(`the driver had ${Math.round(this.before)} MiB before and ${Math.round(peak)} MiB at most`);
    assert.ok(peak - this.before < most, `the driver grew from ${this.before} to ${peak} MiB`);
  }
}

/** One driver for all tests, with a browser that is attacked and one that has to go on answering. */
let driver;
let endpoint;

before(async () => {
  driver = new TestDriver();
  [{ endpoint }] = await Promise.all([driver.launched('a'), driver.launched('bystander')]);
});
after(() => driver.stop());

/** Runs a test with a client and a page of its own. */
function withPage(body) {
  return async (context) => {
    const browser = await firefox.connect(endpoint);
    const owned = await browser.newContext();
    try {
      await body({ context, browser, page: await owned.newPage() });
      const started = performance.now();
      assert.equal((await driver.done({ type: 'check', id: 'bystander', timeout_ms: 20_000 })).error, null);
      context.diagnostic(`the bystander answered within ${Math.round(performance.now() - started)} ms`);
    } finally {
      await owned.close();
      await browser.close();
    }
  };
}

/** Serves answers by path on loopback. */
async function serve(answers) {
  const server = http.createServer((request, response) => answers[request.url.split('?')[0]]?.(response, request) ?? response.end());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

test('every text of what a page logs and throws is short', withPage(async ({ page }) => {
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

test('addresses that a page makes long are kept short', withPage(async ({ page }) => {
  const pad = 'x'.repeat(3 << 20);
  await page.setContent('<body>');
  const [frame] = await Promise.all([
    page.waitForEvent('framenavigated', (frame) => frame.parentFrame() && frame.url().startsWith('data:')),
    page.evaluate((pad) => {
      const frame = document.createElement('iframe');
      frame.src = `data:text/html,${pad}`;
      document.body.append(frame);
    }, pad),
  ]);
  assert.ok(frame.url().length <= 1 << 16, `a frame's: ${frame.url().length}`);
  const dialog = page.waitForEvent('dialog');
  const asked = page.evaluate((pad) => prompt(pad, pad), pad);
  const shown = await dialog;
  assert.ok(shown.message().length + shown.defaultValue().length <= 2 << 16, "a dialog's texts");
  await shown.accept('fine');
  assert.equal(await asked, 'fine');
  const name = `${'n'.repeat(200)}.txt`;
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.evaluate(([pad, name]) => Object.assign(document.createElement('a'), { href: `data:application/octet-stream,${pad}`, download: name }).click(), [pad, name]),
  ]);
  assert.ok(download.url().length <= 1 << 16, `a download's: ${download.url().length}`);
  assert.equal(download.suggestedFilename(), name);
  assert.equal(fs.statSync(await saved(download)).size, 3 << 20);
}));

/** Saves a download and says where. */
async function saved(download) {
  const file = `${fs.mkdtempSync('/tmp/client-')}/file`;
  await download.saveAs(file);
  process.once('exit', () => fs.rmSync(file.slice(0, -5), { recursive: true, force: true }));
  return file;
}

test("what Camoufox' protocol says of a page is short as well, and whole where a part is of no use", () => {
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
  // Past the total of a browser less of a message is kept, and what is short anyway is untouched.
  for (let left = 1200; left > 0; left -= 1) bound({ method: 'Page.workerCreated', params: { url: 'x'.repeat(70_000) } });
  assert.ok(length({ method: 'Page.workerCreated', params: { url: long } }) < 9_000);
  const headers = Array.from({ length: 20 }, (_, index) => ({ name: `x-${index}`, value: 'v'.repeat(300) }));
  const request = { method: 'Network.requestWillBeSent', params: { url: 'https://example.org/', headers } };
  const before = JSON.stringify(request);
  assert.equal(JSON.stringify(bound(request)), before);
});

test('a text that is cut keeps nothing of the rest in the memory', () => {
  const kept = [];
  const before = process.memoryUsage();
  for (let left = 100; left > 0; left -= 1) kept.push(cut(`${left}${'x'.repeat(8 << 20)}`, 1 << 16));
  const grown = (process.memoryUsage().rss - before.rss) / MIB;
  assert.ok(kept.every(({ length }) => length === 1 << 16));
  assert.ok(grown < 400, `${grown} MiB for ${kept.length} texts of 64 KiB`);
});

test('the answers to requests of clients are bounded, one by one and together', withPage(async ({ context, page }) => {
  const chunk = Buffer.alloc(MIB, 'a');
  const bombs = Object.entries({ gzip: zlib.gzipSync, deflate: zlib.deflateSync, br: zlib.brotliCompressSync }).map(([coding, compress]) => [coding, compress(Buffer.alloc(100 * MIB), coding === 'br' ? { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 } } : {})]);
  const server = await serve({
    '/endless': (response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write(chunk));
        response.once('drain', more);
      };
      more();
      return true;
    },
    ...Object.fromEntries(bombs.map(([coding, bomb]) => [`/${coding}`, (response) => response.writeHead(200, { 'content-encoding': coding }).end(bomb)])),
    '/40': (response) => response.end(Buffer.alloc(40 * MIB)),
    '/coded': (response) => response.writeHead(200, { 'content-encoding': 'gzip', 'content-type': 'text/html' }).end(zlib.gzipSync(Buffer.alloc(5 * MIB, ' '))),
  });
  const { request } = page;
  const memory = new Memory();
  const started = performance.now();
  const tooLarge = /the answer's body is larger than 64 MiB/;
  await assert.rejects(request.get(`${server.url}/endless`), tooLarge);
  for (const [coding] of bombs) await assert.rejects(request.get(`${server.url}/${coding}`), tooLarge, coding);
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => request.get(`${server.url}/endless`)));
  for (const { reason } of outcomes) assert.match(reason.message, /larger than 64 MiB|have more than 128 MiB together/);
  context.diagnostic(`ten were refused within ${Math.round(performance.now() - started)} ms`);
  assert.equal((await (await request.get(`${server.url}/coded`)).body()).length, 5 * MIB);
  // Later answers take the place of earlier ones.
  const answers = [];
  for (let count = 0; count < 5; count += 1) answers.push(await request.get(`${server.url}/40`));
  assert.equal((await answers.at(-1).body()).length, 40 * MIB);
  await assert.rejects(answers[0].body(), /a session's answers may have 128 MiB together/);
  for (const answer of answers) await answer.dispose();
  memory.grewLessThan(700, context);
  // So do those that a route fetches.
  await page.route('**/routed', async (route) => route.fulfill({ response: await route.fetch({ url: `${server.url}/coded` }) }));
  assert.equal((await (await page.goto(`${server.url}/routed`)).body()).length, 5 * MIB);
  server.close();
}));

test('calls that a client leaves unanswered fail once they are too many', withPage(async ({ context, page, browser }) => {
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
  // Calls that nobody answers any more are forgotten with their pages.
  const other = await (await browser.newContext()).newPage();
  await other.exposeBinding('unanswered', () => new Promise(() => {}));
  await other.evaluate(() => {
    for (let count = 0; count < 4; count += 1) void globalThis.unanswered('x'.repeat(15 << 20)).catch(() => {});
  });
  await other.close();
  assert.equal(await page.evaluate(() => globalThis.unanswered('x'.repeat(15 << 20))), 15 << 20);
}));

test('requests that a client leaves unanswered fail once they are too many', withPage(async ({ page }) => {
  const server = await serve({});
  await page.goto(server.url);
  const routes = [];
  await page.route('**/waiting**', (route) => routes.push(route));
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

test('commands and scripts of clients are bounded', withPage(async ({ context, page }) => {
  const server = await serve({ '/silent': () => true });
  const memory = new Memory();
  const outcomes = Array.from({ length: 8 }, () => page.request.post(`${server.url}/silent`, { data: Buffer.alloc(20 * MIB) }).catch((error) => error));
  const refused = await Promise.race(outcomes);
  assert.match(refused.message, /fetch: too many commands of this session are being carried out: at most 10000, with 128 MiB together; wait for their answers/);
  server.close();
  await Promise.all(outcomes);
  const text = `/*${'x'.repeat(25 << 20)}*/`;
  for (let count = 0; count < 2; count += 1) await page.addInitScript({ content: text });
  await assert.rejects(page.addInitScript({ content: text }), /too many scripts and functions are given to the pages of this session/);
  await page.close();
  const next = await page.context().newPage();
  await next.addInitScript({ content: text });
  memory.grewLessThan(900, context);
}));

/** A client that has said that it will send so many bytes. */
async function halfway(endpoint, declared) {
  const { hostname, port, pathname } = new URL(endpoint);
  const socket = net.connect(Number(port), hostname);
  let received = Buffer.alloc(0);
  const upgraded = new Promise((resolve, reject) => {
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      if (received.includes('\r\n\r\n')) resolve();
    });
    socket.once('error', reject);
  });
  socket.write(
    `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUser-Agent: Playwright/1.62.1 (x64; debian 12) node/20\r\n` +
      'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await upgraded;
  socket.removeAllListeners('error').on('error', () => {});
  const head = Buffer.alloc(14);
  // A text, masked (with nothing), of a length of 64 bits.
  head.set([0x81, 0xff]);
  head.writeBigUInt64BE(BigInt(declared), 2);
  socket.write(head);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  return {
    socket,
    /** Sends so many bytes, or until the connection is over. */
    send: (bytes) => Promise.race([new Promise((resolve) => socket.write(bytes, resolve)), closed]),
    /** Resolves to what the server said, when it has closed the connection. */
    closed: closed.then(() => received.subarray(received.indexOf('\r\n\r\n') + 4)),
  };
}

test('incomplete messages of clients are bounded together, and one large message arrives', withPage(async ({ context, page }) => {
  let received = 0;
  const server = await serve({ '/count': (response, request) => request.on('data', ({ length }) => (received += length)).on('end', () => response.end()) });
  const memory = new Memory();
  const clients = await Promise.all(Array.from({ length: 8 }, () => halfway(endpoint, 90 * MIB)));
  const block = Buffer.alloc(MIB, ' ');
  for (let sent = 0; sent < 60; sent += 1) await Promise.all(clients.map(({ send, socket }) => socket.destroyed || send(block)));
  const over = await Promise.race(clients.map(({ closed }) => closed));
  // A close frame: its length, its code (1009), its reason.
  assert.equal(over[0], 0x88);
  assert.equal(over.readUInt16BE(2), 1009);
  assert.equal(over.subarray(4, 2 + over[1]).toString(), "the session's clients may have 128 MiB of incomplete messages together");
  assert.match(driver.stderr, /a client was disconnected: the incomplete messages of its session have more than 128 MiB/);
  memory.grewLessThan(500, context);
  for (const { socket } of clients) socket.destroy();
  const sent = await page.request.post(`${server.url}/count`, { data: Buffer.alloc(60 * MIB) });
  assert.deepEqual([sent.status(), received], [200, 60 * MIB], 'one large message of a client arrives');
  server.close();
}));

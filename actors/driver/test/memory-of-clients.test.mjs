import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import zlib from 'node:zlib';
import { MIB, Memory, driver, endpoint, serve, withPage } from './pressure.mjs';

/** A client that has announced a message of so many bytes. */
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
  // The header of a masked text frame (mask zero) with a 64-bit length.
  head.set([0x81, 0xff]);
  head.writeBigUInt64BE(BigInt(declared), 2);
  socket.write(head);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  return {
    socket,
    /** Sends so many bytes, or until the connection is closed. */
    send: (bytes) => Promise.race([new Promise((resolve) => socket.write(bytes, resolve)), closed]),
    /** Resolves to the received data when the server has closed the connection. */
    closed: closed.then(() => received.subarray(received.indexOf('\r\n\r\n') + 4)),
  };
}

test('incomplete messages of a session\'s clients have a common limit, and one large message arrives', withPage(async ({ context, page }) => {
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
  assert.equal(over.subarray(4, 2 + over[1]).toString(), "the session's clients may have at most 128 MiB of incomplete messages together");
  assert.match(driver.stderr, /a client was disconnected: the incomplete messages of its session exceed 128 MiB/);
  memory.grewLessThan(500, context);
  for (const { socket } of clients) socket.destroy();
  const sent = await page.request.post(`${server.url}/count`, { data: Buffer.alloc(60 * MIB) });
  assert.deepEqual([sent.status(), received], [200, 60 * MIB], 'one large message of a client arrives');
  server.close();
}));

test('responses to clients\' requests are limited, each and together', withPage(async ({ context, page }) => {
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
  const tooLarge = /the response body is larger than 64 MiB/;
  await assert.rejects(request.get(`${server.url}/endless`), tooLarge);
  for (const [coding] of bombs) await assert.rejects(request.get(`${server.url}/${coding}`), tooLarge, coding);
  const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => request.get(`${server.url}/endless`)));
  for (const { reason } of outcomes) assert.match(reason.message, /larger than 64 MiB|exceed 128 MiB together/);
  context.diagnostic(`ten were refused within ${Math.round(performance.now() - started)} ms`);
  assert.equal((await (await request.get(`${server.url}/coded`)).body()).length, 5 * MIB);
  // Later responses replace earlier ones.
  const answers = [];
  for (let count = 0; count < 5; count += 1) answers.push(await request.get(`${server.url}/40`));
  assert.equal((await answers.at(-1).body()).length, 40 * MIB);
  await assert.rejects(answers[0].body(), /a session's responses may have 128 MiB together/);
  for (const answer of answers) await answer.dispose();
  memory.grewLessThan(700, context);
  // So do those fetched by a route.
  await page.route('**/routed', async (route) => route.fulfill({ response: await route.fetch({ url: `${server.url}/coded` }) }));
  assert.equal((await (await page.goto(`${server.url}/routed`)).body()).length, 5 * MIB);
  server.close();
}));

test('commands and scripts of clients are limited', withPage(async ({ context, page }) => {
  const server = await serve({ '/silent': () => true });
  const memory = new Memory();
  const outcomes = Array.from({ length: 8 }, () => page.request.post(`${server.url}/silent`, { data: Buffer.alloc(20 * MIB) }).catch((error) => error));
  const refused = await Promise.race(outcomes);
  assert.match(refused.message, /fetch: too many commands of this session are in progress: at most 10000, with 128 MiB together; wait for their answers/);
  server.close();
  await Promise.all(outcomes);
  const text = `/*${'x'.repeat(25 << 20)}*/`;
  for (let count = 0; count < 2; count += 1) await page.addInitScript({ content: text });
  await assert.rejects(page.addInitScript({ content: text }), /too many scripts and functions were added to the pages of this session/);
  await page.close();
  const next = await page.context().newPage();
  await next.addInitScript({ content: text });
  memory.grewLessThan(900, context);
}));

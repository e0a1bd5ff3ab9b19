/** Playwright clients: they attach over the relay, leave, and come back. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { PNG } from 'pngjs';
import { openSocket } from './helpers/http.mjs';
import { CLIENT_HEADERS, attach, blankPage } from './helpers/playwright.mjs';
import { Server, test } from './helpers/server.mjs';
import { HOLD, Site } from './helpers/site.mjs';
import { until, within } from './helpers/wait.mjs';

const MEGABYTE = 1 << 20;

/** An incompressible page: every pixel of its canvas is random. */
const NOISE = `<!doctype html><title>noise</title><style>body{margin:0}canvas{display:block}</style>
  <canvas width=1200 height=2000></canvas>
  <script>
    const context = document.querySelector('canvas').getContext('2d');
    const image = context.createImageData(1200, 2000);
    for (let at = 0; at < image.data.length; at += 65536) crypto.getRandomValues(image.data.subarray(at, at + 65536));
    for (let at = 3; at < image.data.length; at += 4) image.data[at] = 255;
    context.putImageData(image, 0, 0);
  </script>`;

let server, site;

before(async () => {
  site = await Site.open({ '/noise': NOISE, '/page': `<title>still here</title><input>${HOLD}` });
  server = await Server.start();
});

after(async () => {
  await server?.stop();
  await site?.close();
});

test('a client attaches, takes a full-page screenshot over 5 MB, disconnects, and finds its page when it attaches again', async () => {
  const session = await server.create({ headless: true });
  assert.equal(session.attached, 0);

  const first = await attach(server, session);
  const page = await blankPage(first);
  await page.goto(`${site.url}/noise`);
  const screenshot = await page.screenshot({ fullPage: true });
  assert.ok(screenshot.length > 5 * MEGABYTE, `${screenshot.length} bytes`);
  const { height, data } = PNG.sync.read(screenshot);
  assert.equal(height, 2000);
  assert.ok(new Set(data.subarray(0, 4000)).size > 200, 'the picture shows the noise');
  await page.goto(`${site.url}/page`);
  await page.fill('input', 'typed before leaving');
  assert.equal((await server.session(session)).attached, 1);
  await first.close();
  await server.sessionThat(session, ({ attached }) => attached === 0, 'without clients');

  const second = await attach(server, session);
  const pages = second.contexts().flatMap((context) => context.pages());
  assert.deepEqual(await Promise.all(pages.map((open) => open.title())), ['still here']);
  assert.equal(await pages[0].inputValue('input'), 'typed before leaving');
  await second.close();
  await server.end(session);
});

test('with contexts=discard contexts are closed when the last of two clients disconnects, not before', async () => {
  const session = await server.create({ headless: true, contexts: 'discard' });
  assert.equal(session.contexts, 'discard');
  const [first, second] = [await attach(server, session), await attach(server, session)];
  const page = await blankPage(first);
  await page.goto(`${site.url}/page`);
  await server.sessionThat(session, ({ attached }) => attached === 2, 'with two clients');
  await first.close();
  await server.sessionThat(session, ({ attached }) => attached === 1, 'with one client');
  await until(() => second.contexts().length === 2, 'the second client to see the context beside the default one');
  assert.equal(await second.contexts()[1].pages()[0].title(), 'still here');
  await second.close();
  await server.sessionThat(session, ({ attached }) => attached === 0, 'without clients');
  await until(() => site.held === 0, 'the page to be closed');
  const third = await attach(server, session);
  assert.deepEqual(third.contexts().map((context) => context.pages().length), [0], 'an empty default context');
  await third.close();
  await server.end(session);
});

test('50 MB are relayed in each direction', async () => {
  const session = await server.create({ headless: true });
  const browser = await attach(server, session);
  const page = await blankPage(browser);
  const size = 50 * MEGABYTE;
  assert.equal(await page.evaluate((text) => text.length, 'x'.repeat(size)), size);
  const returned = await page.evaluate((length) => 'y'.repeat(length), size);
  assert.equal(returned.length, size);
  assert.ok(returned.startsWith('yyy') && returned.endsWith('yyy'));
  await browser.close();
  const metrics = await server.metrics();
  for (const direction of ['in', 'out']) {
    assert.ok(metrics.value('camofleet_relay_bytes_total', { kind: 'attach', direction }) > size, direction);
  }
  await server.end(session);
});

test('clients of two sessions do not see each other', async () => {
  const sessions = await Promise.all([server.create({ headless: true }), server.create({ headless: true })]);
  const clients = await Promise.all(sessions.map((session) => attach(server, session)));
  await blankPage(clients[0]);
  const latecomer = await attach(server, sessions[1]);
  assert.deepEqual(latecomer.contexts().map((context) => context.pages().length), [0]);
  for (const client of [...clients, latecomer]) await client.close();
  for (const session of sessions) await server.end(session);
});

test('a deleted session closes its client with 1011 and the reason', async () => {
  const session = await server.create({ headless: true });
  const { socket, closed } = await openSocket(server.wsUrl + session.ws_endpoint, { headers: CLIENT_HEADERS });
  assert.ok(socket, 'the client is attached');
  await server.end(session);
  const { code, reason } = await within(closed, 'the socket to be closed');
  assert.equal(code, 1011);
  assert.match(reason, /the session ended: deleted/);
});

/** A page can fill the disk without user interaction; its session ends before that. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before } from 'node:test';
import { attach, blankPage } from './helpers/playwright.mjs';
import { launchDirectories } from './helpers/processes.mjs';
import { Server, test } from './helpers/server.mjs';

const LIMIT_MB = 96;
const MEGABYTE = Buffer.alloc(1 << 20, 7);

/** Pages that store more and more data, in all ways that a page can. */
const PAGES = {
  '/downloads': '<iframe src="/endless?as=a"></iframe><iframe src="/endless?as=b"></iframe>',
  '/blob': '<script>fetch("/endless").then((answer) => answer.blob())</script>',
};

let server;
let site;
before(async () => {
  server = await Server.start({ RUNNER_SESSION_DISK_MB: String(LIMIT_MB), RUNNER_LAUNCH_PERMITS: '2' });
  site = http.createServer(({ url }, response) => {
    const { pathname, searchParams } = new URL(url, 'http://site');
    if (pathname in PAGES) return response.setHeader('content-type', 'text/html').end(PAGES[pathname]);
    const headers = searchParams.has('as') ? { 'content-disposition': 'attachment; filename=large.bin' } : {};
    response.writeHead(200, { 'content-type': 'application/octet-stream', ...headers });
    const fill = () => {
      while (!response.destroyed && response.write(MEGABYTE));
    };
    response.on('drain', fill);
    fill();
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
});
after(async () => {
  site?.close();
  site?.closeAllConnections();
  await server?.stop();
});

const address = (page) => `http://127.0.0.1:${site.address().port}${page}`;

/** The session ended because of its disk usage, and its files are gone. */
async function ends(session) {
  const ended = await server.ended(session, 15_000);
  assert.equal(ended.end_reason, 'disk_full');
  assert.match(ended.end_detail, new RegExp(`its files use \\d+ MB of the disk, more than RUNNER_SESSION_DISK_MB \\(${LIMIT_MB}\\)`));
}

test('downloads and blobs of a start URL end their sessions', async () => {
  await Promise.all(Object.keys(PAGES).map(async (page) => ends(await server.create({ headless: true, start_url: address(page), start_url_wait: 'domcontentloaded' }))));
  assert.deepEqual(launchDirectories(server.runBase), []);
});

test('downloads in a client\'s own context end its session, and no other', async () => {
  const [filling, other] = await Promise.all([server.create({ headless: true }), server.create({ headless: true })]);
  const client = await attach(server, filling);
  const page = await blankPage(client);
  await Promise.all([ends(filling), page.goto(address('/downloads')).catch(() => {})]);
  assert.equal((await server.session(other)).status, 'READY');
  await server.end(other);
  assert.deepEqual(launchDirectories(server.runBase), []);
});

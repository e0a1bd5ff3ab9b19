/** The panel as a static build behind nginx, at the root and below a path, in a real Chromium. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { showsColour, startChromium } from './helpers/chromium.mjs';
import { request } from './helpers/http.mjs';
import { PanelNginx } from './helpers/nginx.mjs';
import { attach } from './helpers/playwright.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';

const VIOLET = [130, 60, 190];
const FINDING_MS = 15_000;
let site, server, nginx, chromium;

before(async () => {
  site = await Site.open({ '/': colouredPage(VIOLET, '') });
  server = await Server.start();
  nginx = await PanelNginx.start(server);
  chromium = await startChromium();
});

after(async () => {
  await chromium?.close();
  await nginx?.stop();
  await server?.stop();
  await site?.close();
});

/** The response headers that restrict what a page may do. */
const POLICY = [
  'content-security-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'referrer-policy',
  'x-content-type-options',
];
const policyOf = ({ headers }) => POLICY.map((name) => headers[name]);

test('its files have the binary\'s headers, and forwarded responses have no additional ones', async () => {
  const own = await server.request('GET', '/');
  const [script] = /assets\/[^"]+\.js/.exec(own.text);
  const files = ['/', '/index.html', `/${script}`, '/nothing-here', '/vnc.html'];
  const answers = await Promise.all(files.map((file) => request('GET', nginx.url + file)));
  assert.deepEqual(answers.map(({ status }) => status), [200, 200, 200, 404, 404]);
  assert.match(own.headers['content-security-policy'], /frame-ancestors 'self'/);
  for (const answer of answers.slice(0, 4)) assert.deepEqual(policyOf(answer), policyOf(own));
  assert.deepEqual(
    answers.slice(0, 3).map(({ headers }) => headers['cache-control']),
    ['no-cache', 'no-cache', 'public, max-age=31536000, immutable'],
  );
  for (const route of ['/api/health', '/vnc/6900', '/websockify/view?token=1']) {
    const [passed, direct] = [await request('GET', nginx.url + route), await server.request('GET', route)];
    assert.deepEqual([passed.status, ...policyOf(passed)], [direct.status, ...policyOf(direct)]);
    assert.equal(passed.headers['cache-control'], direct.headers['cache-control']);
  }
});

for (const [where, address] of [
  ['at the root', () => `${nginx.url}/`],
  ['below a path that an ingress cuts off', () => nginx.prefixedUrl],
]) {
  test(`${where} it is live, shows a screen, and shows addresses that work`, async () => {
    const context = await chromium.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
    const page = await context.newPage();
    page.setDefaultTimeout(FINDING_MS);
    const [complaints, strangers] = [[], []];
    page.on('pageerror', (error) => complaints.push(String(error)));
    context.on('console', (message) => /Content Security Policy/i.test(message.text()) && complaints.push(message.text()));
    page.on('request', (request) => request.url().startsWith(address()) || /^(data|blob):/.test(request.url()) || strangers.push(request.url()));
    await page.goto(address());
    await page.getByRole('status').filter({ hasText: 'Live' }).waitFor();

    // By the event stream, through every proxy, at once.
    const session = await server.create({ vnc: true, start_url: site.url });
    const table = page.getByRole('table', { name: 'Sessions', exact: true });
    await table.getByText('READY').waitFor();
    await page.goto(`${address()}#/sessions/${session.worker}/${session.id}`);
    await showsColour(page.locator('[data-testid="live-screen"][data-state="connected"] canvas'), VIOLET);

    await page.getByRole('button', { name: 'Copy URL' }).click();
    await page.getByText('WebSocket URL copied.').waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.ok(copied.startsWith(address().replace('http', 'ws')), copied);
    const client = await attach({ wsUrl: '' }, { ws_endpoint: copied });
    await client.close();

    const popup = page.waitForEvent('popup');
    await page.getByRole('link', { name: 'Own window' }).click();
    await showsColour((await popup).locator('[data-testid="live-screen"][data-state="connected"] canvas'), VIOLET);
    await context.close();
    await server.end(session);
    assert.deepEqual([complaints, strangers], [[], []]);
  });
}

/** The panel and the page with a live view, in a real Chromium. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { showsColour, startChromium } from './helpers/chromium.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until } from './helpers/wait.mjs';

const ORANGE = [230, 120, 20];
const TYPEWRITER = colouredPage(
  ORANGE,
  `<input autofocus><script>
    const input = document.querySelector('input');
    input.oninput = () => fetch('/typed?' + input.value);
    document.onclick = () => { input.focus(); fetch('/clicked'); };
  </script>`,
);
const FINDING_MS = 15_000;

let server, site, chromium, page;
const complaints = [];

before(async () => {
  site = await Site.open({ '/': TYPEWRITER });
  // One warm browser, as in everyday use, so that the panel's launch is fast.
  server = await Server.start({ RUNNER_PREWARM_VNC: '1' });
  chromium = await startChromium();
  page = await chromium.newPage();
  page.setDefaultTimeout(FINDING_MS);
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
});

after(async () => {
  await chromium?.close();
  await server?.stop();
  await site?.close();
});

test('the live view page connects without a click, shows the screen, and sends what is typed', async () => {
  const past = site.visits.length;
  const session = await server.create({ vnc: true, start_url: site.url });
  await page.goto(server.url + session.vnc.http);
  const screen = page.getByTestId('live-screen');
  await page.locator('[data-testid="live-screen"][data-state="connected"]').waitFor();
  await showsColour(screen.locator('canvas'), ORANGE);
  await screen.locator('canvas').click();
  await site.visit(/^\/clicked/, past);
  await page.keyboard.type('hello');
  await site.visit(/^\/typed\?hello/, past);

  // When its session ends, the page shows the reason and does not retry.
  await server.end(session);
  await page.locator('[data-testid="live-screen"][data-state="disconnected"]').waitFor();
  await page.getByRole('status').filter({ hasText: /^The session of this screen is over\.$/ }).waitFor();
  await page.goto('about:blank');
});

test('a session is launched from the form, viewed, touched, and ended in the panel', async () => {
  await server.poolsFull();
  complaints.length = 0;
  await page.goto(server.url);
  await page.getByRole('button', { name: 'Launch session' }).click();
  const form = page.getByRole('dialog', { name: 'Launch a session' });
  await form.getByLabel('Live view').check();
  await form.getByLabel('Start URL', { exact: true }).fill(site.url);
  await form.getByRole('button', { name: 'Launch', exact: true }).click();

  const table = page.getByRole('table', { name: 'Sessions', exact: true });
  await table.getByText('READY').waitFor();
  const [session, ...others] = await server.sessions();
  assert.deepEqual(others, []);
  assert.deepEqual([session.vnc_enabled, session.start_url], [true, site.url]);
  const name = session.id.slice(0, 8);
  await table.getByText(name).first().waitFor();

  const connected = page.locator('[data-testid="live-screen"][data-state="connected"]');
  await page.getByRole('button', { name: `Live view of ${name}` }).click();
  await connected.waitFor();
  await showsColour(connected.locator('canvas'), ORANGE);

  const { last_seen_at: lastSeen } = await server.session(session);
  await page.getByRole('button', { name: `Touch ${name}` }).click();
  await server.sessionThat(session, (view) => view.last_seen_at > lastSeen, 'touched');

  await page.getByRole('button', { name: `End ${name}` }).click();
  assert.equal((await server.session(session)).status, 'READY', 'nothing ends before it is confirmed');
  await page.getByRole('button', { name: 'End session' }).click();
  const ended = await server.ended(session);
  assert.equal(ended.end_reason, 'deleted');
  await until(async () => (await table.getByText(name).count()) === 0, 'the row to be gone');

  await page.getByRole('switch', { name: 'Show ended' }).check();
  await page.getByRole('table', { name: 'Ended sessions' }).getByText(name).first().waitFor();
  // The live view's WebSocket is closed with 1011, and its view info is 410: a browser may log both, but
  // nothing else.
  assert.deepEqual(complaints.filter((text) => !/WebSocket|status of 410/.test(text)), []);
});

test('the panel works behind an ingress that strips a prefix', async () => {
  // All URLs must be relative to the page.
  const html = (await server.request('GET', '/')).text;
  const assets = [...html.matchAll(/(?:src|href)="([^"]+\.(?:js|css|svg))"/g)].map(([, address]) => address);
  assert.ok(assets.length > 0);
  for (const address of assets) assert.ok(!address.startsWith('/'), `${address} is absolute`);
  const answer = await server.request('GET', `/${assets[0].replace(/^\.\//, '')}`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers['cache-control'], /immutable/);
});

test("the API's page shows its routes below any path, and requests nothing else", async () => {
  const past = complaints.length;
  const foreign = [];
  page.on('request', (request) => request.url().startsWith(server.url) || /^(data|blob):/.test(request.url()) || foreign.push(request.url()));
  for (const root of ['', '/api']) {
    await page.goto(`${server.url}${root}/docs`);
    await page.locator('.opblock-get', { hasText: '/workers' }).click();
    await page.getByRole('button', { name: 'Try it out' }).click();
    const answer = page.waitForResponse((response) => response.url().endsWith('/workers'));
    await page.getByRole('button', { name: 'Execute' }).click();
    const response = await answer;
    assert.deepEqual([response.url(), response.status()], [`${server.url}${root}/workers`, 200]);
  }
  assert.deepEqual([foreign, complaints.slice(past)], [[], []]);
});

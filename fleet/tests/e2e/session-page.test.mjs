/** The page of one session in the panel, in a real Chromium, until the session's end. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { after, before } from 'node:test';
import { promisify } from 'node:util';
import { showsColour, startChromium } from './helpers/chromium.mjs';
import { cityDatabase } from './helpers/cityDatabase.mjs';
import { ExitSite } from './helpers/exitSite.mjs';
import { attach } from './helpers/playwright.mjs';
import { dante } from './helpers/proxies.mjs';
import { Server, temporaryDirectory, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until } from './helpers/wait.mjs';

const TEAL = [20, 150, 160];
const TITLE = 'a page with a title';
/** Reports the content of its field and the pressed F keys to the site; a click anywhere focuses the field. */
const TYPEWRITER = colouredPage(
  TEAL,
  `<input autofocus><script>
    const input = document.querySelector('input');
    input.oninput = () => fetch('/typed?' + encodeURIComponent(input.value));
    addEventListener('keydown', ({ key }) => /^F\\d/.test(key) && fetch('/key?' + key));
    onclick = () => { input.focus(); fetch('/clicked'); };
  </script>`,
);
/** Requests something again and again, whatever becomes of the requests. */
const TICKER = '<!doctype html><title>ticker</title><script>setInterval(() => fetch("/tick").catch(() => {}), 200)</script>';
const FINDING_MS = 15_000;
/** Where a Node program finds Playwright. */
const NODE_PATH = path.resolve(path.dirname(createRequire(import.meta.url).resolve('playwright-core/package.json')), '..');

let site, chromium, context;
const complaints = [];

before(async () => {
  site = await Site.open({ '/': TYPEWRITER, '/ticker': TICKER, '/titled': `<!doctype html><title>${TITLE}</title>` });
  chromium = await startChromium();
  context = await chromium.newContext({ permissions: ['clipboard-read', 'clipboard-write'] });
});

after(async () => {
  await chromium?.close();
  await site?.close();
});

/** Opens the page of a session. */
async function openPage(server, { worker, id }) {
  const page = await context.newPage();
  page.setDefaultTimeout(FINDING_MS);
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${server.url}/#/sessions/${worker}/${id}`);
  return page;
}

/** Copies the Node snippet from the page and runs it, with a local page instead of the one on the internet. */
async function runProgram(page, environment = {}) {
  await page.getByRole('tab', { name: 'Node' }).click();
  await page.getByRole('button', { name: 'Copy program' }).click();
  await page.getByText('Node program copied.').waitFor();
  const code = await page.evaluate(() => navigator.clipboard.readText());
  const program = code.replace('https://example.com', `${site.url}/titled`);
  assert.notEqual(program, code);
  const env = { ...process.env, NODE_PATH, ...environment };
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], { env, timeout: 30_000 });
  return { code, stdout };
}

/** An HTTP proxy that requires a user name and a password, and counts the tunnels that it opened. */
async function startProxy(credentials) {
  const expected = `Basic ${Buffer.from(credentials).toString('base64')}`;
  const proxy = http.createServer((_, response) => response.writeHead(405).end());
  proxy.tunnels = 0;
  proxy.on('connect', (request, client, head) => {
    client.on('error', () => {});
    if (request.headers['proxy-authorization'] !== expected) return client.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    const { hostname, port } = new URL(`http://${request.url}`);
    const upstream = net.connect(port, hostname, () => {
      proxy.tunnels += 1;
      client.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  proxy.address = `127.0.0.1:${proxy.address().port}`;
  return proxy;
}

test('a session is viewed, controlled, connected to, touched and ended on its page', async () => {
  const server = await Server.start({ RUNNER_PREWARM_VNC: '1' });
  try {
    const session = await server.create({ vnc: true, start_url: site.url, labels: { team: 'search' } });
    const page = await openPage(server, session);
    await page.getByText('team=search').waitFor();
    const canvas = page.locator('[data-testid="live-screen"][data-state="connected"] canvas');
    await canvas.waitFor();
    await showsColour(canvas, TEAL);

    // Nothing is sent before control is taken.
    const past = site.visits.length;
    await canvas.click();
    await page.getByRole('switch', { name: 'Control' }).check();
    await canvas.click();
    await site.visit(/^\/clicked/, past);
    await page.keyboard.type('hello');
    await site.visit(/^\/typed\?hello$/, past);
    assert.equal(site.visits.slice(past).filter((url) => url === '/clicked').length, 1);
    await page.getByRole('button', { name: 'F keys' }).click();
    await page.getByRole('menuitem', { name: 'F2', exact: true }).click();
    await site.visit(/^\/key\?F2$/, past);

    // Original size, as large as the window allows, and back.
    const widthOf = async () => Math.round((await canvas.boundingBox()).width);
    const fitted = await widthOf();
    assert.ok(fitted < 1024);
    await page.getByRole('button', { name: '1:1' }).click();
    await until(async () => (await widthOf()) === 1024, 'the screen in its own size');
    await page.getByRole('button', { name: 'Fit' }).click();
    await page.getByRole('button', { name: 'Fullscreen' }).click();
    await until(async () => (await widthOf()) > fitted, 'the screen to be larger');
    await page.getByRole('button', { name: 'Leave fullscreen' }).click();
    await until(async () => (await widthOf()) === fitted, 'the screen to be as it was');

    // The clipboard in both directions. A key held by its button applies to the next key of the keyboard.
    await page.getByRole('button', { name: 'Clipboard' }).click();
    await page.getByLabel('Send to the session').fill(', wörld');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await canvas.click();
    await page.getByRole('button', { name: 'Ctrl', exact: true }).click();
    await page.keyboard.press('v');
    await site.visit(new RegExp(`^/typed\\?${encodeURIComponent('hello, wörld')}$`), past);
    await page.keyboard.press('a');
    await page.keyboard.press('c');
    await page.getByRole('button', { name: 'Ctrl', exact: true }).click();
    const copied = page.getByLabel('Copied in the session');
    await until(async () => (await copied.inputValue()) === 'hello, wörld', 'the text of the session to arrive');
    await page.keyboard.press('Control+Alt+Shift+X');
    assert.equal(await page.getByRole('switch', { name: 'Control' }).isChecked(), false, 'the keyboard is released');

    const ownWindow = page.waitForEvent('popup');
    await page.getByRole('link', { name: 'Own window' }).click();
    const popup = await ownWindow;
    await showsColour(popup.locator('[data-testid="live-screen"][data-state="connected"] canvas'), TEAL);
    await popup.close();

    const history = page.getByRole('region', { name: 'History' });
    await history.getByText('Ready for clients').waitFor();
    assert.equal(await history.getByText('A client attached').count(), 0);
    const browser = await attach(server, session);
    await history.getByText('A client attached').waitFor();
    await browser.close();
    await history.getByText('A client left').waitFor();

    const { stdout } = await runProgram(page);
    assert.equal(stdout.trim(), TITLE);
    await page.getByRole('button', { name: 'Copy URL' }).click();
    await page.getByText('WebSocket URL copied.').waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), server.wsUrl + session.ws_endpoint);

    const { last_seen_at: lastSeen } = await server.session(session);
    await page.getByRole('button', { name: 'Touch' }).click();
    await server.sessionThat(session, (view) => view.last_seen_at > lastSeen, 'touched');

    await page.getByRole('button', { name: 'End', exact: true }).click();
    assert.equal((await server.session(session)).status, 'READY', 'nothing ends before it is confirmed');
    await page.getByRole('button', { name: 'End session' }).click();
    await page.getByRole('region', { name: 'End' }).getByText('Ended by request').waitFor();
    await history.getByText('Ended', { exact: true }).waitFor();
    assert.equal((await server.ended(session)).end_reason, 'deleted');
    await page.close();

    // Later visitors see the same, and an unknown session is reported.
    const later = await openPage(server, session);
    await later.getByText('Ended by request').waitFor();
    await later.goto(`${server.url}/#/sessions/local/00000000-0000-4000-8000-000000000000`);
    await later.getByText('There is no such session').waitFor();
    await later.close();
    assert.deepEqual(complaints, []);
  } finally {
    await server.stop();
  }
});

test('where a token is required, the page shows the screen, and its snippet reads the token from the environment', async () => {
  const token = 'page-s3cret';
  const server = await Server.start({ CONTROL_API_TOKEN: token }, { healthy: false });
  try {
    const headers = { authorization: `Bearer ${token}` };
    const create = () => server.request('POST', '/sessions', { headers, body: { vnc: true, start_url: site.url } });
    const { json: session } = await until(async () => {
      const answer = await create();
      return answer.status === 201 && answer;
    }, 'a session');
    const page = await openPage(server, session);
    await page.getByRole('textbox', { name: 'Token' }).fill(token);
    await page.getByRole('button', { name: 'Continue' }).click();
    await showsColour(page.locator('[data-testid="live-screen"][data-state="connected"] canvas'), TEAL);
    const { code, stdout } = await runProgram(page, { CONTROL_API_TOKEN: token });
    assert.equal(stdout.trim(), TITLE);
    assert.doesNotMatch(code, /s3cret/);
    await page.close();
  } finally {
    await server.stop();
  }
});

test('a session is launched with a proxy, its page shows the traffic, and its exit is changed under it', async () => {
  const proxy = await startProxy('me:s3cret');
  const server = await Server.start({ RUNNER_PROXIES: JSON.stringify({ eu: [`http://me:s3cret@${proxy.address}`] }) });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(FINDING_MS);
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(server.url);
    await page.getByRole('button', { name: 'Launch session' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Headless').selectOption('Yes');
    await form.getByLabel('Start URL', { exact: true }).fill(`${site.url}/ticker`);
    await form.getByLabel('Proxy', { exact: true }).selectOption('Own proxy…');
    await page.evaluate((text) => navigator.clipboard.writeText(text), `${proxy.address}:me:s3cret`);
    await form.getByLabel('Proxy server').focus();
    await page.keyboard.press('Control+V');
    assert.equal(await form.getByLabel('Proxy server').inputValue(), proxy.address);
    await form.getByRole('button', { name: 'Copy as curl' }).click();
    await page.getByText(/^curl command .* copied\.$/).waitFor();
    const command = await page.evaluate(() => navigator.clipboard.readText());
    assert.doesNotMatch(command, /s3cret/);

    await form.getByRole('button', { name: 'Cancel' }).click();

    // The copied command launches the session, with the password put in.
    const { stdout } = await promisify(execFile)('sh', ['-c', command.replace('PASSWORD', 's3cret')], { timeout: 30_000 });
    const session = JSON.parse(stdout);
    assert.deepEqual(session.proxy, { server: `http://${proxy.address}`, pool: null });
    await page.goto(`${server.url}/#/sessions/${session.worker}/${session.id}`);
    const network = page.getByRole('region', { name: 'Network' });
    const figure = (name) => network.locator('dl > div', { hasText: name }).locator('dd');
    const exitIs = (text) => figure('Exit').getByText(text, { exact: true }).waitFor();
    await exitIs(`http://${proxy.address}`);
    await network.scrollIntoViewIfNeeded();
    await network.getByRole('row', { name: '127.0.0.1' }).waitFor();
    const rate = figure('Received').locator('strong');
    await until(async () => /^[1-9][\d.]* (byte|kB)\/s$/.test(await rate.innerText()), 'the rate of a page that requests something');
    assert.ok(proxy.tunnels > 0, 'the browser goes through the proxy');

    const change = async (choose) => {
      await network.getByRole('button', { name: 'Change exit' }).click();
      const dialog = page.getByRole('dialog');
      await choose(dialog);
      await dialog.getByRole('button', { name: 'Change exit' }).click();
      await dialog.waitFor({ state: 'detached' });
    };
    await change((dialog) => dialog.getByLabel('Proxy', { exact: true }).selectOption('None: direct connections'));
    await page.getByText(/connects directly now/).waitFor();
    await exitIs('Direct');
    const { tunnels } = proxy;
    await site.visit(/^\/tick/, site.visits.length);
    assert.equal(proxy.tunnels, tunnels, 'the page that was open goes the new way');
    await page.getByRole('region', { name: 'History' }).getByText('Exit changed').waitFor();

    // A proxy that refuses the credentials is reported, and the page gets nothing.
    await change(async (dialog) => {
      await dialog.getByLabel('Proxy', { exact: true }).selectOption('Own proxy…');
      await dialog.getByLabel('Proxy server').fill(`http://me:wrong@${proxy.address}`);
    });
    await figure('Refused connections').getByText('Proxy refused user name or password').waitFor();
    await change((dialog) => dialog.getByLabel('Proxy', { exact: true }).selectOption('eu'));
    await exitIs('Pool eu');
    await site.visit(/^\/tick/, site.visits.length);

    // The list has this column on wide windows only.
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.goto(server.url);
    const row = page.getByRole('row', { name: session.id.slice(0, 8) });
    await row.getByText('Pool eu').waitFor();
    await row.getByTitle(/^Received .*B, sent .*B$/).waitFor();
    await page.close();
    assert.deepEqual(complaints, []);
  } finally {
    await server.stop();
    proxy.close();
    proxy.closeAllConnections();
  }
});

test('a proxy is checked in the launch form, which shows where it leads, and sends its password nowhere else', async () => {
  const directory = temporaryDirectory();
  const cities = path.join(directory, 'cities.mmdb');
  fs.writeFileSync(
    cities,
    cityDatabase({ '127.0.0.2': { country_code: 'DE', city: 'Berlin', latitude: 52.52, longitude: 13.405, timezone: '' } }),
  );
  const hanging = net.createServer().listen(0, '127.0.0.1');
  const [exitSite, proxy] = await Promise.all([ExitSite.open(), dante({ from: '127.0.0.2' }), once(hanging, 'listening')]);
  const server = await Server.start(
    { RUNNER_EXIT_IP_URL: `http://127.0.0.1:${exitSite.port}/ip`, RUNNER_EXIT_IP_TIMEOUT_SECONDS: '120', RUNNER_GEOIP_DB: cities },
    { healthy: false },
  );
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(FINDING_MS);
    page.on('pageerror', (error) => complaints.push(String(error)));
    const requests = [];
    const printed = [];
    page.on('request', (request) => requests.push(request));
    page.on('console', (message) => printed.push(message.text()));
    await page.goto(server.url);
    await page.getByRole('button', { name: 'Launch session' }).click();
    const form = page.getByRole('dialog');
    await form.getByLabel('Proxy', { exact: true }).selectOption('Own proxy…');
    const check = form.getByRole('group', { name: 'Proxy check' });
    const result = check.getByRole('status');

    await form.getByLabel('Proxy server').fill(`socks5://127.0.0.1:${hanging.address().port}`);
    const came = once(hanging, 'connection');
    await check.getByRole('button', { name: 'Check' }).click();
    const [connection] = await came;
    connection.resume().on('error', () => {});
    await check.getByRole('button', { name: 'Stop' }).click();
    await until(() => connection.closed, 'the check to end');
    assert.equal(await result.innerText(), '');

    await form.getByLabel('Proxy server').fill(proxy.server);
    await form.getByLabel('User name').fill(proxy.username);
    await form.getByLabel('Password').fill('s3cret-wrong');
    await check.getByRole('button', { name: 'Check' }).click();
    await result.getByText('Proxy refused user name or password').waitFor();
    await form.getByLabel('Password').fill(proxy.password);
    assert.equal(await result.innerText(), '', 'a result is about the fields as they were');
    const below = form.getByRole('group', { name: 'Blocked hosts' });
    const before = await below.boundingBox();
    await check.getByRole('button', { name: 'Check' }).focus();
    await page.keyboard.press('Enter');
    await result.getByText('Works').waitFor();
    const facts = await result.locator('dd').allInnerTexts();
    assert.deepEqual(facts.slice(0, 3), ['127.0.0.2', 'DEGermany, Berlin', 'Europe/Berlin']);
    assert.match(facts[3], /^\d+ ms$/);
    const credit = result.getByRole('link', { name: 'IP Geolocation by DB-IP' });
    assert.equal(await credit.getAttribute('href'), 'https://db-ip.com');
    assert.deepEqual(await below.boundingBox(), before, 'nothing moves');
    assert.deepEqual(exitSite.visits, ['127.0.0.2 /ip']);

    const secret = (text) => [proxy.password, encodeURIComponent(proxy.password), 's3cret'].some((part) => text.includes(part));
    const bodies = requests.filter((request) => secret(request.postData() ?? '')).map((request) => `${request.method()} ${request.url()}`);
    assert.deepEqual(new Set(bodies), new Set([`POST ${server.url}/api/proxies/check`]));
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, history.state]));
    for (const text of [...requests.map((request) => request.url()), ...printed, kept, server.log()]) assert.ok(!secret(text), text);
    await page.close();
    assert.deepEqual(complaints, []);
  } finally {
    await server.stop();
    await Promise.all([proxy.stop(), exitSite.close()]);
    hanging.close();
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

/** A live view shows one session, and never the next one with its number: the pages in a real Chromium. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { showsColour, startChromium } from './helpers/chromium.mjs';
import { Cutter } from './helpers/cutter.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until } from './helpers/wait.mjs';

const GREEN = [40, 140, 60];
const TYPEWRITER = colouredPage(
  GREEN,
  `<input autofocus><script>
    const input = document.querySelector('input');
    input.oninput = () => fetch('/typed?' + input.value);
    document.onclick = () => { input.focus(); fetch('/clicked'); };
  </script>`,
);
const TOKEN = 's3cret';
const BEARER = { headers: { authorization: `Bearer ${TOKEN}` } };
const FINDING_MS = 15_000;
const RESTART_MS = 40_000;
/** Longer than any delay between two connection attempts. */
const LONG_MS = 120_000;

let site, open, guarded, chromium;
before(async () => {
  site = await Site.open({ '/': TYPEWRITER });
  [open, guarded, chromium] = await Promise.all([
    Server.start(),
    Server.start({ CONTROL_API_TOKEN: TOKEN }, { healthy: false }),
    startChromium(),
  ]);
});
after(async () => {
  await chromium?.close();
  await Promise.all([open?.stop(), guarded?.stop()]);
  await site?.close();
});

/** A page whose clock can be advanced; it counts the WebSockets that it opens. */
async function newPage() {
  const page = await (await chromium.newContext()).newPage();
  page.setDefaultTimeout(FINDING_MS);
  await page.clock.install();
  page.sockets = [];
  page.on('websocket', (socket) => page.sockets.push(socket.url()));
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => /Content Security Policy/i.test(message.text()) && page.complaints.push(message.text()));
  return page;
}

const screenOf = (page) => page.locator('[data-testid="live-screen"][data-state="connected"] canvas');
const numberOf = ({ vnc }) => new URL(vnc.http, 'http://base').pathname;

/** Types into the page on a screen, and expects to see it. */
async function type(page, text) {
  const past = site.visits.length;
  await screenOf(page).click();
  await site.visit(/^\/clicked/, past);
  await page.keyboard.type(text);
  await site.visit(new RegExp(`^/typed\\?${text}$`), past);
}

/**
 * Expects that a screen is over with this reason, and that neither a user nor a timer opens another
 * WebSocket.
 */
async function staysAway(page, words) {
  await page.getByRole('status').filter({ hasText: words }).waitFor();
  const before = page.sockets.length;
  await page.clock.fastForward(LONG_MS);
  await page.keyboard.type('lost');
  // After everything that the above may have started.
  await page.evaluate(() => fetch(location.href));
  assert.equal(page.sockets.length, before, page.sockets.join('\n'));
  assert.equal(await page.locator('canvas').count(), 0);
}

test('a view that was opened by its number is over with its session, although the next session has the same number', async () => {
  const first = await open.create({ vnc: true, start_url: site.url });
  const pages = [await newPage(), await newPage(), await newPage()];
  const [bare, keyed, panel] = pages;
  await Promise.all([
    bare.goto(open.url + numberOf(first)),
    keyed.goto(open.url + first.vnc.http),
    panel.goto(`${open.url}/#/sessions/${first.worker}/${first.id}`),
  ]);
  for (const page of pages) await showsColour(screenOf(page), GREEN);
  const key = new URL(first.vnc.http, open.url).searchParams.get('key');
  for (const page of pages) for (const url of page.sockets) assert.equal(new URL(url).searchParams.get('key'), key);
  await type(bare, 'first');

  await open.end(first);
  const next = await open.create({ vnc: true, start_url: site.url });
  assert.deepEqual([numberOf(next), next.vnc.http === first.vnc.http], [numberOf(first), false]);
  for (const page of [bare, keyed]) await staysAway(page, 'The session of this screen is over.');
  await panel.getByRole('region', { name: 'End' }).waitFor();

  const handedOut = await newPage();
  await handedOut.goto(open.url + next.vnc.http);
  await showsColour(screenOf(handedOut), GREEN);
  const past = site.visits.length;
  await type(handedOut, 'own');
  assert.deepEqual(site.visits.slice(past).filter((url) => /lost/.test(url)), []);
  assert.deepEqual(site.visits.filter((url) => /lost/.test(url)), []);
  for (const page of [...pages, handedOut]) assert.deepEqual(page.complaints, []);
  await Promise.all([...pages, handedOut].map((page) => page.context().close()));
  await open.end(next);
});

test('the pages of a session whose browser is killed say that it is being restarted, and show it again by themselves', async () => {
  const session = await open.create({ vnc: true, start_url: site.url });
  const pages = [await newPage(), await newPage(), await newPage()];
  const [bare, keyed, panel] = pages;
  await Promise.all([
    bare.goto(open.url + numberOf(session)),
    keyed.goto(open.url + session.vnc.http),
    panel.goto(`${open.url}/#/sessions/${session.worker}/${session.id}`),
  ]);
  for (const page of pages) await showsColour(screenOf(page), GREEN);
  const said = pages.map((page) => page.getByRole('status').filter({ hasText: 'The session is being restarted.' }).waitFor());
  process.kill(open.browserOf(session).pid, 'SIGKILL');
  await Promise.all(said);
  await open.sessionThat(session, ({ status, restarts }) => status === 'READY' && restarts === 1, 'READY again', RESTART_MS);
  for (const page of pages) await showsColour(screenOf(page), GREEN);
  await type(keyed, 'again');
  for (const page of pages) assert.deepEqual(page.complaints, []);
  await Promise.all(pages.map((page) => page.context().close()));
  await open.end(session);
});

test('with a token set the number alone shows nothing; the published address does, and so does the token', async () => {
  const { json: session } = await guarded.request('POST', '/sessions', { ...BEARER, body: { vnc: true, start_url: site.url } });
  const [bare, keyed, trusted] = [await newPage(), await newPage(), await newPage()];
  await bare.goto(guarded.url + numberOf(session));
  await staysAway(bare, 'This address lacks the screen’s key or the access token.');
  assert.deepEqual(bare.sockets, []);

  await keyed.goto(guarded.url + session.vnc.http);
  await showsColour(screenOf(keyed), GREEN);
  await type(keyed, 'keyed');
  await trusted.goto(`${guarded.url}${numberOf(session)}?access_token=${TOKEN}`);
  await showsColour(screenOf(trusted), GREEN);
  for (const page of [bare, keyed, trusted]) assert.deepEqual(page.complaints, []);

  // An invalid key is the same as none.
  const guess = await newPage();
  await guess.goto(`${guarded.url}${numberOf(session)}?key=${'0'.repeat(32)}`);
  await staysAway(guess, 'The session of this screen is over.');
  await Promise.all([bare, keyed, trusted, guess].map((page) => page.context().close()));
});

test('a proxy that blocks WebSockets is named as the cause, and the page keeps retrying', async () => {
  const session = await open.create({ vnc: true, start_url: site.url });
  const proxy = await Cutter.before(open.url);
  // How it treats a handshake.
  proxy.cut(/\/websockify\?/);
  try {
    const page = await newPage();
    await page.goto(proxy.url + session.vnc.http);
    await page.getByRole('status').filter({ hasText: 'does not forward WebSocket upgrades. Trying again in' }).waitFor();
    const tried = page.sockets.length;
    await page.clock.fastForward(LONG_MS);
    await until(() => page.sockets.length > tried, 'another attempt');
    await page.context().close();
  } finally {
    await proxy.close();
  }
  await open.end(session);
});

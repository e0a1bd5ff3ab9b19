/** The wall of screens and the pinned previews, in a real Chromium, with real sessions. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { showsColour, startChromium } from './helpers/chromium.mjs';
import { attach } from './helpers/playwright.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until } from './helpers/wait.mjs';

const GREEN = [20, 160, 70];
const VIOLET = [120, 40, 200];
const ORANGE = [240, 130, 20];
const FINDING_MS = 15_000;
/**
 * A change is on its tile within two seconds, because screens are polled once a second; the rest is for a
 * busy machine.
 */
const CHANGED_WITHIN_MS = 5000;
/** A remaining poll would have been sent within this time. */
const TWO_LOOKS_MS = 2200;

let site, chromium;
const complaints = [];

before(async () => {
  site = await Site.open({ '/green': colouredPage(GREEN), '/violet': colouredPage(VIOLET) });
  chromium = await startChromium();
});

after(async () => {
  await chromium?.close();
  await site?.close();
});

const shortId = ({ id }) => id.slice(0, 8);
const tileOf = (page, session) => page.getByRole('article', { name: `Session ${shortId(session)}` });
const pictureOf = (page, session) => tileOf(page, session).getByRole('img');
const coverOf = (page, session) => tileOf(page, session).getByRole('button', { name: /^Watch/ });
const liveOf = (page, session) => tileOf(page, session).locator('[data-testid="live-screen"][data-state="connected"] canvas');
const tunnels = async (server) => (await server.metrics()).value('camofleet_tunnels');

async function openPage(url) {
  const page = await chromium.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(FINDING_MS);
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(url);
  return page;
}

/** A place outside of all tiles. */
const moveAway = (page) => page.mouse.move(2, 2);

test('tiles show current screens, live under the pointer, pinned first, and polling stops when the page is left', async (context) => {
  const server = await Server.start();
  try {
    const [older, newer] = [
      await server.create({ vnc: true, start_url: `${site.url}/green` }),
      await server.create({ vnc: true, start_url: `${site.url}/violet`, labels: { team: 'search' } }),
    ];
    const page = await openPage(`${server.url}/#/wall`);
    await showsColour(pictureOf(page, older), GREEN);
    await showsColour(pictureOf(page, newer), VIOLET);
    const order = () => page.getByRole('article').evaluateAll((tiles) => tiles.map((tile) => tile.ariaLabel.split(' ')[1]));
    assert.deepEqual(await order(), [newer, older].map(shortId), 'the newest first');
    assert.equal(await tunnels(server), 0, 'a screenshot is not a viewer');

    const browser = await attach(server, older);
    const [tab] = browser.contexts().flatMap((contexts) => contexts.pages());
    await tab.evaluate((rgb) => (document.documentElement.style.background = `rgb(${rgb})`), ORANGE);
    const changed = performance.now();
    await showsColour(pictureOf(page, older), ORANGE);
    const took = performance.now() - changed;
    context.diagnostic(`a change is on its tile after ${took.toFixed(0)} ms`);
    assert.ok(took < CHANGED_WITHIN_MS, `${took} ms`);
    await browser.close();
    const idle = await server.sessionThat(older, ({ attached }) => attached === 0, 'left by its client');

    await coverOf(page, older).hover();
    await showsColour(liveOf(page, older), ORANGE);
    assert.equal(await tunnels(server), 1);
    assert.equal((await server.session(older)).last_seen_at, idle.last_seen_at, 'a view-only viewer sends nothing');
    await moveAway(page);
    await until(async () => (await tunnels(server)) === 0, 'the live view to end with the pointer gone');
    await coverOf(page, older).click();
    await liveOf(page, older).waitFor();
    await moveAway(page);
    await coverOf(page, newer).hover();
    await showsColour(liveOf(page, newer), VIOLET);
    await showsColour(liveOf(page, older), ORANGE);
    await moveAway(page);
    await liveOf(page, newer).waitFor({ state: 'detached' });
    await page.keyboard.press('Escape');
    await liveOf(page, older).waitFor({ state: 'detached' });

    await tileOf(page, older).getByRole('button', { name: /^Pin/ }).click();
    assert.deepEqual(await order(), [older, newer].map(shortId), 'the pinned first');
    await page.reload();
    await showsColour(pictureOf(page, older), ORANGE);
    assert.deepEqual(await order(), [older, newer].map(shortId));

    await page.getByRole('link', { name: 'Sessions' }).click();
    const pinned = page.getByRole('complementary', { name: 'Pinned' });
    await showsColour(pinned.getByRole('img'), ORANGE);
    const table = await page.getByRole('table').boundingBox();
    const beside = await pinned.boundingBox();
    assert.ok(beside.x >= table.x + table.width, 'it is beside the table');
    await page.setViewportSize({ width: 1024, height: 768 });
    await until(async () => (await pinned.boundingBox()).y < (await page.getByRole('table').boundingBox()).y, 'it to be above the table');
    await coverOf(page, older).click();
    await showsColour(liveOf(page, older), ORANGE);

    await page.evaluate(() => (location.hash = '#/nowhere'));
    await page.getByText('There is no such page').waitFor();
    const asked = [];
    page.on('request', (request) => request.url().includes('/screenshot') && asked.push(request.url()));
    await until(async () => (await tunnels(server)) === 0, 'the viewer to leave');
    await delay(TWO_LOOKS_MS);
    assert.deepEqual(asked, []);

    // The pointer is where a tile will be, which would then be live.
    await moveAway(page);
    await page.evaluate(() => (location.hash = '#/wall'));
    await server.end(older);
    await tileOf(page, older).waitFor({ state: 'detached' });
    await showsColour(pictureOf(page, newer), VIOLET);
    await page.close();
    assert.deepEqual(complaints, []);
  } finally {
    await server.stop();
  }
});

test('where a token is required, screenshots are requested with it', async () => {
  const token = 'wall-s3cret';
  const server = await Server.start({ CONTROL_API_TOKEN: token }, { healthy: false });
  try {
    const headers = { authorization: `Bearer ${token}` };
    const session = await until(async () => {
      const answer = await server.request('POST', '/sessions', { headers, body: { vnc: true, start_url: `${site.url}/violet` } });
      return answer.status === 201 && answer.json;
    }, 'a session');
    const page = await openPage(`${server.url}/#/wall`);
    await page.getByRole('textbox', { name: 'Token' }).fill(token);
    await page.getByRole('button', { name: 'Continue' }).click();
    await showsColour(pictureOf(page, session), VIOLET);
    await coverOf(page, session).hover();
    await showsColour(liveOf(page, session), VIOLET);
    await page.close();
  } finally {
    await server.stop();
  }
});

/** The panel is kept current: with the event stream, without it, and with five thousand sessions. */
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { startChromium } from './helpers/chromium.mjs';
import { Cutter } from './helpers/cutter.mjs';
import { Original } from './helpers/originals.mjs';
import { startControl } from './helpers/roles.mjs';
import { Server, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

/** How late a change may be shown. */
const SHOWN_WITHIN_MS = 300;
const ROUNDS = 3;
const MANY = 5000;
/** How often the list is scrolled, for how many seconds each, and at how many pixels per second. */
const SCROLLS = { runs: 5, seconds: 2, speed: 1500 };
/**
 * The limits: the minimum of frames per second, and how long a received change may take to be drawn, in
 * milliseconds. They apply with `QUIET=1` only (`bench/README.md`): otherwise other tests run at the same
 * time, and the limits are such that a list without virtualization would exceed them by far.
 */
const [FRAMES, DRAWN_WITHIN_MS] = process.env.QUIET === '1' ? [50, 50] : [10, 500];
/**
 * The limit of the main thread's CPU time per second of scrolling, in milliseconds: 8 per frame at 50 frames
 * per second. It also holds on a busy machine, where fewer frames render more rows each.
 */
const BUSY_MS = 400;

let chromium;
before(async () => (chromium = await startChromium()));
after(() => chromium?.close());

const shortId = ({ id }) => id.slice(0, 8);

/** Opens the panel in a new page, and waits until it follows the events. */
async function openPanel(url) {
  const page = await chromium.newPage({ viewport: { width: 1440, height: 900 } });
  // When the bytes with the last touch arrived.
  await page.addInitScript(() => {
    const { read } = ReadableStreamDefaultReader.prototype;
    ReadableStreamDefaultReader.prototype.read = async function () {
      const piece = await read.call(this);
      if (typeof piece.value === 'string' && piece.value.includes('"change":"touched"')) globalThis.touchArrived = performance.now();
      return piece;
    };
  });
  await page.goto(url);
  await page.locator('.connection.live').waitFor();
  return page;
}

/** Scrolls the list by wheel; returns the frames and the main thread's CPU time per second of each run. */
async function scrollThrough(page) {
  const { runs, seconds, speed } = SCROLLS;
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable', { timeDomain: 'threadTicks' });
  const worked = async () => (await devtools.send('Performance.getMetrics')).metrics.find(({ name }) => name === 'TaskDuration').value;
  await page.evaluate(() => {
    globalThis.frames = [];
    const step = (now) => {
      globalThis.frames.push(now);
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  const wheel = { x: 720, y: 600, yDistance: -seconds * speed, speed, gestureSourceType: 'mouse', preventFling: true };
  const results = [];
  for (let run = 0; run < runs; run += 1) {
    const before = await worked();
    const top = await page.evaluate(() => {
      globalThis.frames.length = 0;
      return window.scrollY;
    });
    await devtools.send('Input.synthesizeScrollGesture', wheel);
    const { count, ms, scrolled } = await page.evaluate((top) => {
      const { frames, scrollY } = globalThis;
      return { count: frames.length - 1, ms: frames.at(-1) - frames[0], scrolled: scrollY - top };
    }, top);
    assert.ok(scrolled > seconds * speed * 0.9, `${scrolled} pixels`);
    results.push({ perSecond: (count * 1000) / ms, busy: (((await worked()) - before) * 1_000_000) / ms });
  }
  return results;
}

describe('with one server', () => {
  let server, cutter;
  before(async () => {
    server = await Server.start({ RUNNER_PREWARM_HEADLESS: '1' });
    cutter = await Cutter.before(server.url);
  });
  after(async () => {
    await cutter?.close();
    await server?.stop();
  });

  test('a change in the fleet is shown at once', async (context) => {
    const page = await openPanel(server.url);
    // When each text appeared in the page, and when it was removed, on the clock that the server shares.
    await page.evaluate(() => {
      const seen = (globalThis.seen = {});
      new MutationObserver(() => {
        const text = document.body.innerText;
        for (const [short] of text.matchAll(/\b[0-9a-f]{8}\b/g)) (seen[short] ??= {}).shown ??= Date.now();
        for (const [short, times] of Object.entries(seen)) if (!text.includes(short)) times.gone ??= Date.now();
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    // The launch of a browser beside it can delay any one change.
    const late = { created: [], ended: [] };
    const isShownAtOnce = () => Object.values(late).every((times) => Math.min(...times) < SHOWN_WITHIN_MS);
    for (let round = 0; round < ROUNDS && !isShownAtOnce(); round += 1) {
      const session = await server.create({ headless: true });
      await server.end(session);
      const { ended_at: ended } = await server.ended(session);
      const times = await until(
        () => page.evaluate((short) => globalThis.seen[short]?.gone && globalThis.seen[short], shortId(session)),
        'the session to come and go in the panel',
      );
      late.created.push(times.shown - Date.parse(session.created_at));
      late.ended.push(times.gone - Date.parse(ended));
    }
    context.diagnostic(`on the screen after ${late.created} ms, gone from it after ${late.ended} ms`);
    assert.ok(isShownAtOnce(), JSON.stringify(late));
    await page.close();
  });

  test('it polls while the event stream is down, is offline while nothing answers, and is live again by itself', async () => {
    const page = await openPanel(cutter.url);
    cutter.cut(/\/events$/);
    await page.locator('.connection.polling').waitFor();
    const session = await server.create({ headless: true });
    const row = page.getByRole('row', { name: shortId(session) });
    await row.waitFor();
    cutter.cut(/\/api\//);
    await page.getByRole('alert').filter({ hasText: 'Offline since' }).waitFor();
    assert.ok(await row.isVisible(), 'the last known state stays');
    cutter.mend();
    await page.locator('.connection.live').waitFor();
    await server.end(session);
    await row.waitFor({ state: 'detached' });
    await page.close();
  });
});

describe(`with ${MANY} sessions`, () => {
  let original, control;
  before(async () => {
    original = await Original.start('worker');
    original.fill(MANY);
    control = await startControl([{ name: 'many', url: original.url }]);
    await until(async () => (await control.sessions()).length === MANY, 'control to see all sessions');
  });
  after(async () => {
    await control?.stop();
    original?.close();
  });

  test('the list scrolls smoothly, and a change of one row is drawn at once', async (context) => {
    const page = await openPanel(control.url);
    await page.locator('.count', { hasText: MANY.toLocaleString('en') }).waitFor();
    const rows = await page.locator('tbody tr').count();
    assert.ok(rows < 100, `${rows} rows are in the page`);

    const scrolls = await scrollThrough(page);
    const rates = scrolls.map(({ perSecond }) => perSecond).sort((a, b) => a - b);
    const median = rates[SCROLLS.runs >> 1];
    context.diagnostic(`${median.toFixed(1)} frames a second at ${SCROLLS.speed} pixels a second, the median of ${rates.map((rate) => rate.toFixed(1)).join(', ')}`);
    const busy = scrolls.map(({ busy }) => busy).sort((a, b) => a - b)[SCROLLS.runs >> 1];
    context.diagnostic(`${busy.toFixed(0)} ms of the page's processor time for each second`);
    assert.ok(busy < BUSY_MS, `${busy.toFixed(0)} ms for each second`);
    assert.ok(median >= FRAMES, `${median.toFixed(1)} frames a second`);

    await page.evaluate(() => window.scrollTo(0, 0));
    // The rows follow a moment later.
    await page.locator('tbody tr[aria-rowindex="2"]').waitFor();
    const row = page.locator('tbody tr').filter({ has: page.getByRole('timer') }).first();
    const short = (await row.locator('code').first().textContent()).trim();
    const { id } = (await control.sessions()).find((session) => session.id.startsWith(short));
    await page.evaluate((id) => {
      const timer = document.querySelector(`code[title="${id}"]`).closest('tr').querySelector('[role=timer]');
      const changed = new Promise((resolve) => {
        // A touch restores the whole TTL, of which a minute had passed.
        new MutationObserver(() => /^(5:00|4:5)/.test(timer.textContent) && resolve()).observe(timer, { childList: true, subtree: true, characterData: true });
      });
      const painted = () => new Promise((resolve) => requestAnimationFrame(resolve));
      globalThis.drawn = changed.then(painted).then(() => performance.now() - globalThis.touchArrived);
    }, id);
    assert.equal((await control.request('POST', `/sessions/many/${id}/touch`)).status, 200);
    const took = await page.evaluate(() => globalThis.drawn);
    context.diagnostic(`a change is drawn ${took.toFixed(1)} ms after it has arrived`);
    assert.ok(took < DRAWN_WITHIN_MS, `${took.toFixed(1)} ms`);
    await page.close();
  });
});

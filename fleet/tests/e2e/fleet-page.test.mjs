/** The charts of the fleet in the panel: their figures are current, and they are drawn. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { startChromium } from './helpers/chromium.mjs';
import { attach } from './helpers/playwright.mjs';
import { Server, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

/** There is a sample every five seconds, polled every two. */
const SHOWN_WITHIN_MS = 15_000;

let server, chromium;
before(async () => {
  server = await Server.start({ RUNNER_PREWARM_HEADLESS: '1' });
  await server.poolsFull();
  chromium = await startChromium();
});
after(async () => {
  await chromium?.close();
  await server?.stop();
});

/** Waits until a chart's text alternative has these figures, and returns it. */
async function figures(page, chart, wanted) {
  const picture = page.getByRole('region', { name: chart, exact: true }).getByRole('img');
  let label;
  await until(
    async () => wanted.test((label = await picture.getAttribute('aria-label', { timeout: SHOWN_WITHIN_MS }))),
    `${chart} to be ${wanted}`,
    SHOWN_WITHIN_MS,
  ).catch((error) => {
    throw new Error(`${error.message}; they are ${label}`, { cause: error });
  });
  return label;
}

/** The number of different colours on a chart's canvas. */
function coloursOf(page, chart) {
  const canvas = page.getByRole('region', { name: chart, exact: true }).locator('canvas');
  return canvas.evaluate((element) => {
    const { data } = element.getContext('2d').getImageData(0, 0, element.width, element.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
}

test('launches and ends of sessions are on the charts, with latency and end reason', async (context) => {
  const page = await chromium.newPage({ viewport: { width: 1440, height: 1200 } });
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(`${server.url}/#/fleet`);
  await figures(page, 'Sessions', /Ready 0, Starting 0, Ending 0/);
  await figures(page, 'Warm browsers', /Headless 1, Headless, target 1/);

  const session = await server.create({ headless: true });
  const client = await attach(server, session);
  await figures(page, 'Sessions', /Ready 1,/);
  await figures(page, 'Clients and viewers', /Clients 1, Viewers 0/);
  context.diagnostic(await figures(page, 'Time to launch', /p50\) [\d.]+ (ms|sec), .*p95\) [\d.]+ (ms|sec)/));

  await client.close();
  await server.end(session);
  await figures(page, 'Ended sessions', /By request 1$/);
  await figures(page, 'Sessions', /Ready 0,/);
  for (const chart of ['Sessions', 'Time to launch', 'Ended sessions']) {
    assert.ok((await coloursOf(page, chart)) > 2, `${chart} is drawn`);
  }

  // Pointing into one chart shows the figures of all charts at that time.
  await page.getByRole('region', { name: 'Sessions', exact: true }).locator('.u-over').hover();
  await page.getByRole('region', { name: 'Traffic', exact: true }).getByText(/^At \d/).waitFor();

  // By keyboard, and without the pictures.
  await page.getByText('All figures as a table').focus();
  await page.keyboard.press('Enter');
  await page.getByRole('row', { name: /Ended sessions By request/ }).waitFor();
  assert.deepEqual(errors, []);
  await page.close();
});

test('a panel that is opened later shows the time before', async () => {
  const page = await chromium.newPage();
  await page.goto(`${server.url}/#/fleet`);
  await figures(page, 'Ended sessions', /By request 1$/);
  await page.close();
});

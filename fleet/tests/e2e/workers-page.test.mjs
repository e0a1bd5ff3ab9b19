/** The page of the workers in the panel: their health, the reason of problems, and their load. */
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { startChromium } from './helpers/chromium.mjs';
import { DETECTION_MS, Fleet, RECOVERY_MS } from './helpers/roles.mjs';
import { Server, test } from './helpers/server.mjs';

/** How long a change of a worker may take to be shown. */
const SHOWN_WITHIN_MS = 5000;

let chromium;
before(async () => (chromium = await startChromium()));
after(() => chromium?.close());

async function openWorkers(url) {
  const page = await chromium.newPage();
  await page.goto(`${url}/#/workers`);
  await page.locator('.connection.live').waitFor();
  return page;
}

const cardOf = (page, name) => page.getByRole('article', { name, exact: true });

/** Waits until a meter of a card shows these figures. */
function shows(card, meter, text) {
  const figures = card.getByRole('meter', { name: meter, exact: true }).and(card.locator(`[aria-valuetext="${text}"]`));
  return figures.waitFor({ timeout: SHOWN_WITHIN_MS });
}

test('a worker’s load, pools, versions and checks are shown and kept current', async () => {
  const server = await Server.start({ RUNNER_PREWARM_HEADLESS: '1', RUNNER_MAX_SESSIONS: '7' });
  try {
    await server.poolsFull();
    const page = await openWorkers(server.url);
    const card = cardOf(page, 'local');
    await card.getByText('Healthy', { exact: true }).waitFor();
    await shows(card, 'Sessions', '0 of 7');
    await shows(card, 'Warm, headless', '1 of 1');
    const [{ detail }] = await server.read('/workers');
    for (const text of [detail.facts.playwright, detail.facts.node, detail.checks.engine, detail.checks.driver]) {
      assert.ok((await card.innerText()).includes(text), text);
    }
    const session = await server.create({ headless: true });
    await shows(card, 'Sessions', '1 of 7');
    await card.getByText('1 ready', { exact: true }).waitFor();
    await card.getByRole('link', { name: '1 session on local' }).click();
    await page.getByRole('row', { name: session.id.slice(0, 8) }).waitFor();
    assert.equal(await page.getByRole('combobox', { name: 'Worker', exact: true }).inputValue(), 'local');
    await page.close();
  } finally {
    await server.stop();
  }
});

describe('a fleet of two hosts', () => {
  let fleet;
  before(async () => (fleet = await Fleet.start()));
  after(() => fleet?.stop());

  const degraded = (page) => page.getByRole('link', { name: 'Fleet degraded 1 of 2 workers' });

  test('a worker that stops answering comes first with the reason and the time, until it answers again', async () => {
    const page = await openWorkers(fleet.control.url);
    const west = cardOf(page, 'west');
    await west.getByText('Healthy', { exact: true }).waitFor();
    fleet.workerWest.kill('SIGSTOP');
    try {
      await west.getByText('Unreachable', { exact: true }).waitFor({ timeout: DETECTION_MS + SHOWN_WITHIN_MS });
      await west.getByText(/It does not answer: it did not answer within/).waitFor();
      await west.getByText(`that the control role can reach ${fleet.workerWest.url}`).waitFor();
      await west.locator('time').waitFor();
      await degraded(page).waitFor();
      const names = await page.getByRole('article').getByRole('heading', { level: 3 }).allInnerTexts();
      assert.deepEqual(names, ['west', 'east']);
    } finally {
      fleet.workerWest.kill('SIGCONT');
    }
    await west.getByText('Healthy', { exact: true }).waitFor({ timeout: RECOVERY_MS + SHOWN_WITHIN_MS });
    await page.getByRole('link', { name: 'Fleet ok 2 workers' }).waitFor();
    await page.close();
  });

  test('a worker whose runner is gone shows that, and shows when it is back', async () => {
    const page = await openWorkers(fleet.control.url);
    const east = cardOf(page, 'east');
    await east.getByText('Healthy', { exact: true }).waitFor();
    fleet.runnerEast.kill('SIGKILL');
    await fleet.runnerEast.awaitEnd();
    await east.getByText('Degraded', { exact: true }).waitFor({ timeout: 2 * DETECTION_MS });
    await east.getByText(/^Runner: .*refused/).waitFor();
    await east.getByText(/WORKER_RUNNER_BASE_URL/).waitFor();
    await fleet.again('runnerEast');
    await east.getByText('Healthy', { exact: true }).waitFor({ timeout: 2 * RECOVERY_MS });
    await page.close();
  });
});

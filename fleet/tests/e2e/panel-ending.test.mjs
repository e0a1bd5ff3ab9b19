/** Ending sessions in the panel, in a real Chromium. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { startChromium } from './helpers/chromium.mjs';
import { Server, test } from './helpers/server.mjs';

/** The shortest TTL that the API accepts, in seconds. */
const IDLE_TTL = 30;
const FINDING_MS = 15_000;
const EXPIRY_MS = (IDLE_TTL + 15) * 1000;
let server, chromium, page;
const complaints = [];

before(async () => {
  server = await Server.start({ RUNNER_PREWARM_HEADLESS: '1' });
  chromium = await startChromium();
  page = await chromium.newPage();
  page.setDefaultTimeout(FINDING_MS);
  page.on('pageerror', (error) => complaints.push(String(error)));
});

after(async () => {
  await chromium?.close();
  await server?.stop();
});

test('several sessions are ended together, and an idle one counts down, expires, and shows the reason', async () => {
  const batch = [];
  for (let i = 0; i < 2; i += 1) batch.push(await server.create({ headless: true, labels: { batch: 'nightly' } }));
  const idle = await server.create({ headless: true, idle_ttl_seconds: IDLE_TTL });
  const short = ({ id }) => id.slice(0, 8);

  await page.goto(server.url);
  const table = page.getByRole('table', { name: 'Sessions', exact: true });
  const rowOf = (session) => table.getByRole('row').filter({ hasText: short(session) });
  await rowOf(idle).getByRole('timer').filter({ hasText: /^0:[0-3]\d$/ }).waitFor();
  for (const session of batch) await rowOf(session).getByRole('checkbox').check();
  await page.getByText('2 selected').waitFor();
  await page.getByRole('button', { name: 'End selected' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('2 sessions').first().waitFor();
  await dialog.getByRole('button', { name: /^End/ }).click();
  for (const session of batch) {
    await rowOf(session).waitFor({ state: 'detached' });
    assert.equal((await server.ended(session)).end_reason, 'deleted');
  }
  assert.equal(await page.getByText('2 selected').count(), 0);

  await rowOf(idle).getByRole('link').first().click();
  const end = page.getByRole('region', { name: 'End' });
  await end.getByText('Idle TTL passed').waitFor({ timeout: EXPIRY_MS });
  assert.equal((await server.ended(idle)).end_reason, 'expired');
  await page.getByRole('region', { name: 'History' }).getByText('Ended', { exact: true }).waitFor();

  await page.getByRole('link', { name: '← Sessions' }).click();
  await page.getByRole('switch', { name: 'Show ended' }).check();
  const ended = page.getByRole('table', { name: 'Ended sessions' });
  await ended.getByRole('row').filter({ hasText: short(idle) }).getByText('Idle TTL passed').waitFor();
  for (const session of batch) {
    await ended.getByRole('row').filter({ hasText: short(session) }).getByText('Ended by request').waitFor();
  }
  assert.deepEqual(complaints, []);
});

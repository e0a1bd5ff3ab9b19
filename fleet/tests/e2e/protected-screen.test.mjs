/** A live view with a password, on its own page and in the panel, in a real Chromium. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { showsColour, startChromium } from './helpers/chromium.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';

const BLUE = [30, 80, 200];
const PASSWORD = 's3cret';
const FINDING_MS = 15_000;
let site, server, chromium, session;

before(async () => {
  site = await Site.open({ '/': colouredPage(BLUE, '') });
  server = await Server.start({
    RUNNER_VNC_LEGACY: '1',
    DISPLAY: ':951',
    VNC_RES: '1024x768x24',
    VNC_PORT: '18951',
    WS_PORT: '18952',
    VNC_PASSWORD: PASSWORD,
  });
  chromium = await startChromium();
  session = await server.create({ vnc: true, start_url: site.url });
});

after(async () => {
  await chromium?.close();
  await server?.stop();
  await site?.close();
});

for (const [where, address] of [
  ['its own page', () => server.url + session.vnc.http],
  ["the session's page", () => `${server.url}/#/sessions/${session.worker}/${session.id}`],
]) {
  test(`${where} asks for the password, again after a wrong one, and then shows the screen`, async () => {
    const page = await chromium.newPage();
    page.setDefaultTimeout(FINDING_MS);
    const complaints = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(address());
    await page.getByText('The screen is protected.').waitFor();
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Connect', exact: true }).click();
    await page.getByText(/^The screen refused the viewer.*Please try again\.$/).waitFor();
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByLabel('Password').press('Enter');
    await showsColour(page.locator('[data-testid="live-screen"][data-state="connected"] canvas'), BLUE);
    assert.deepEqual(complaints, []);
    await page.close();
  });
}

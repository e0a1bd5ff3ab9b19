/** The page of profiles in the panel, in a real Chromium, with real sessions and a real proxy. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { startChromium } from './helpers/chromium.mjs';
import { cityDatabase } from './helpers/cityDatabase.mjs';
import { ExitSite } from './helpers/exitSite.mjs';
import { dante } from './helpers/proxies.mjs';
import { Server, temporaryDirectory, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

const EXIT = '127.0.0.2';
/** The name of the site, which only the proxy can resolve. */
const SHOP = 'shop.example';
const BERLIN = { country_code: 'DE', city: 'Berlin', latitude: 52.52, longitude: 13.405, timezone: '' };
const FINDING_MS = 20_000;

let directory, site, proxy, server, chromium, context;
const complaints = [];

before(async () => {
  directory = temporaryDirectory();
  [site, proxy, chromium] = await Promise.all([ExitSite.open(), dante({ from: EXIT, names: { [SHOP]: '127.0.0.1' } }), startChromium()]);
  const cities = path.join(directory, 'cities.mmdb');
  fs.writeFileSync(cities, cityDatabase({ [EXIT]: BERLIN }));
  server = await Server.start({
    RUNNER_EXIT_IP_URL: `http://${SHOP}:${site.port}/ip`,
    RUNNER_GEOIP_DB: cities,
  });
  context = await chromium.newContext({ locale: 'en-US', viewport: { width: 1440, height: 900 } });
});
after(async () => {
  await chromium?.close();
  await server?.stop();
  await Promise.all([proxy?.stop(), site?.close()]);
  fs.rmSync(directory, { recursive: true, force: true });
});

async function openPage(at = context) {
  const page = await at.newPage();
  page.setDefaultTimeout(FINDING_MS);
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${server.url}/#/profiles`);
  return page;
}

const rowOf = (page, name) => page.locator('tbody tr').filter({ has: page.locator('.profile-name', { hasText: new RegExp(`^${name}$`) }) });

/** Chooses an action from the menu of a profile. */
async function choose(page, name, action) {
  await page.getByRole('button', { name: `Actions on ${name}`, exact: true }).click();
  await page.getByRole('menuitem', { name: action }).click();
}

/** Makes a profile, and expects that it is made. */
async function make(body) {
  const answer = await server.request('POST', '/profiles', { body });
  assert.equal(answer.status, 201, answer.text);
}

test('a profile is made, checked, used, exported, imported, cloned and deleted in the panel', async () => {
  const page = await openPage();
  await page.getByText('A profile is somebody with a name').waitFor();
  await page.getByRole('button', { name: 'Make the first profile' }).click();
  const form = page.getByRole('dialog', { name: 'New profile' });
  await form.getByLabel('Name', { exact: true }).fill('anna');
  await form.getByLabel('Languages').fill('de-DE, de');
  await form.getByLabel('Time zone').fill('Europe/Berlin');
  await form.getByLabel('Screen, pixels').fill('1366x768');
  await form.getByLabel('Proxy', { exact: true }).selectOption('own');
  await form.getByLabel('Proxy server').fill(proxy.server);
  await form.getByLabel('User name').fill(proxy.username);
  await form.getByLabel('Password').fill(proxy.password);
  await form.getByRole('button', { name: 'Make profile' }).click();
  const anna = rowOf(page, 'anna');
  await anna.getByText('de-DE, de · Europe/Berlin').waitFor();
  await anna.getByRole('img', { name: 'Germany' }).waitFor();

  // Profiles of other clients appear by themselves. The panel does not have the password that the check needs.
  await make({ name: 'taro', timezone: 'Asia/Tokyo', proxy: { server: proxy.server, username: proxy.username, password: proxy.password } });
  await make({ name: 'vera', proxy: 'socks5://127.0.0.1:9' });
  await rowOf(page, 'vera').waitFor();
  for (const name of ['anna', 'taro', 'vera']) await page.getByRole('button', { name: `Check the exit of ${name}` }).click();
  await anna.locator('.badge.good', { hasText: 'Fits' }).waitFor();
  await anna.getByText(/Germany, Berlin, Europe\/Berlin, 127\.0\.0\.2/).waitFor();
  await rowOf(page, 'taro').locator('.badge.busy', { hasText: 'Contradicts' }).waitFor();
  await rowOf(page, 'taro').getByText('time zone Asia/Tokyo, but the exit has Europe/Berlin').waitFor();
  await rowOf(page, 'vera').locator('.badge.bad', { hasText: 'Fails' }).waitFor();

  await anna.getByRole('button', { name: 'Launch a session with anna' }).click();
  const launch = page.getByRole('dialog', { name: 'Launch a session' });
  assert.equal(await launch.getByLabel('Profile', { exact: true }).inputValue(), 'anna');
  assert.ok(await launch.getByLabel('Time zone').isDisabled());
  assert.equal(await launch.getByLabel('Time zone').inputValue(), 'Europe/Berlin');
  await launch.getByLabel('Headless').selectOption('Yes');
  await launch.getByLabel('Idle TTL, seconds').fill('0');
  await launch.getByRole('button', { name: 'Launch', exact: true }).click();
  const link = anna.getByRole('link', { name: /^Session / });
  await link.click();
  await page.getByText('None: it ends when it is ended').waitFor();
  await page.getByText('(changes it)').waitFor();
  await page.locator('.facts').getByText('Europe/Berlin').waitFor();
  await page.locator('.facts').getByRole('link', { name: 'anna' }).click();
  await page.getByText('Only anna').waitFor();
  await page.getByRole('button', { name: 'Clear' }).click();

  // While a session uses it, its cookies are those of its browser.
  await choose(page, 'anna', 'Cookies…');
  const cookies = page.getByRole('dialog', { name: 'Cookies of anna' });
  await cookies.getByText('It has no cookies.').waitFor();
  await cookies.getByRole('button', { name: 'Replace…' }).click();
  const text = `# Netscape HTTP Cookie File\n.${SHOP}\tTRUE\t/\tFALSE\t4102444800\tsid\ts3cret\n`;
  await cookies.getByLabel('File').setInputFiles({ name: 'cookies.txt', mimeType: 'text/plain', buffer: Buffer.from(text) });
  await until(async () => (await cookies.getByLabel('Cookies', { exact: true }).inputValue()) === text, 'the file to be read');
  await cookies.getByRole('button', { name: 'Replace all cookies' }).click();
  await cookies.getByRole('row', { name: /\.shop\.example sid s3cret/ }).waitFor();
  const saving = page.waitForEvent('download');
  await cookies.getByRole('button', { name: 'Save as text' }).click();
  assert.match(fs.readFileSync(await (await saving).path(), 'utf8'), /\.shop\.example\tTRUE\t\/\tFALSE\t\d+\tsid\ts3cret/);
  await page.keyboard.press('Escape');

  // In use it can be neither exported nor deleted.
  await choose(page, 'anna', 'Export');
  await page.locator('.transfers .problem', { hasText: 'is in use by session' }).waitFor();
  await page.getByRole('button', { name: 'Dismiss the transfer of anna' }).click();
  const [session] = await server.sessions();
  await server.end(session);
  await link.waitFor({ state: 'detached' });
  await anna.getByText(/^[\d.]+ [kM]B$/).waitFor();

  const downloading = page.waitForEvent('download');
  await choose(page, 'anna', 'Export');
  const download = await downloading;
  assert.equal(download.suggestedFilename(), 'anna.tar.zst');
  await page.getByText(/^Saved, /).waitFor();
  const file = path.join(directory, 'copy.of.anna.tar.zst');
  await download.saveAs(file);
  await page.getByTestId('import-files').setInputFiles(file);
  const importing = page.getByRole('dialog', { name: 'Import 1 profile' });
  assert.equal(await importing.getByLabel(/^Name of the profile/).inputValue(), 'copy.of.anna');
  await importing.getByRole('button', { name: 'Import', exact: true }).click();
  await page.getByText(/^Imported, /).waitFor();
  await rowOf(page, 'copy\\.of\\.anna').getByText('de-DE, de · Europe/Berlin').waitFor();

  await choose(page, 'anna', 'Clone…');
  await page.getByRole('dialog', { name: 'Clone anna' }).getByRole('button', { name: 'Clone' }).click();
  await rowOf(page, 'anna-2').waitFor();

  // By keyboard: the menu, its last action, the name, Enter.
  await page.getByRole('button', { name: 'Actions on anna-2' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('menuitem', { name: 'Delete…' }).waitFor();
  await page.keyboard.press('End');
  await page.keyboard.press('Enter');
  const deleting = page.getByRole('dialog', { name: 'Delete anna-2?' });
  await deleting.getByLabel('Type anna-2 to confirm').fill('anna');
  assert.ok(await deleting.getByRole('button', { name: 'Delete profile' }).isDisabled());
  await deleting.getByLabel('Type anna-2 to confirm').fill('anna-2');
  await page.keyboard.press('Enter');
  await rowOf(page, 'anna-2').waitFor({ state: 'detached' });
  assert.deepEqual((await server.read('/profiles')).map(({ name }) => name), ['anna', 'copy.of.anna', 'taro', 'vera']);
  assert.deepEqual(complaints, []);
  await page.close();
});

test('the page fits large and small windows in both languages and themes', async () => {
  const name = `somebody.with-a-name_as-long-as-they-can-be.${'x'.repeat(20)}`;
  await make({ name, notes: 'Long notes '.repeat(40), labels: { team: 'shop', run: 'nightly-4711-of-a-long-name' }, timezone: 'America/Argentina/ComodRivadavia' });
  for (const [colorScheme, locale, title, make] of [
    ['light', 'en-US', 'Profiles', 'New profile'],
    ['dark', 'ru-RU', 'Профили', 'Новый профиль'],
  ]) {
    const own = await chromium.newContext({ colorScheme, locale, viewport: { width: 1280, height: 900 } });
    const page = await openPage(own);
    await page.getByRole('table', { name: title }).waitFor();
    await rowOf(page, name).waitFor();
    for (const width of [1280, 420]) {
      await page.setViewportSize({ width, height: 900 });
      const excess = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      await until(async () => (await excess()) <= 0, `no horizontal scrolling at ${width} pixels in ${locale}`);
      await page.getByRole('button', { name: make }).click();
      const dialog = page.getByRole('dialog', { name: make });
      assert.ok((await dialog.evaluate((one) => one.scrollWidth - one.clientWidth)) <= 0, `the form fits ${width} pixels in ${locale}`);
      await page.keyboard.press('Escape');
      await dialog.waitFor({ state: 'detached' });
    }
    await own.close();
  }
  assert.deepEqual(complaints, []);
});

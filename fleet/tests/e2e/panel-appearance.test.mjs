/** The panel in the user's language and theme: the browser's and the system's, until another is chosen. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before } from 'node:test';
import { startChromium } from './helpers/chromium.mjs';
import { Server, test } from './helpers/server.mjs';

const TEXTS = new URL('../../../frontend/src/i18n/', import.meta.url);
const readTexts = (language, file) => JSON.parse(fs.readFileSync(new URL(`${language}/${file}`, TEXTS), 'utf8'));

/** The English texts that differ in Russian; texts with parameters are left out. */
function englishOnly(english, russian) {
  if (typeof english === 'string') return english === russian || /[{<]/.test(english) ? [] : [english];
  return Object.keys(english).flatMap((key) => englishOnly(english[key], russian[key] ?? ''));
}

const ENGLISH = new Set(
  fs.readdirSync(new URL('en/', TEXTS)).flatMap((file) => englishOnly(readTexts('en', file), readTexts('ru', file))),
);

let server, chromium, session, bare;
before(async () => {
  server = await Server.start();
  bare = await server.create({ headless: true });
  session = await server.create({ vnc: true, labels: { team: 'shop' } });
  chromium = await startChromium();
});
after(async () => {
  await chromium?.close();
  await server?.stop();
});

/** Opens the panel in a new browser context. */
async function openPanel(options = {}, path = '') {
  const context = await chromium.newContext({ locale: 'en-US', viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(`${server.url}/#/${path}`);
  return page;
}

/** All visible and accessible texts of a page that are English. */
async function leftInEnglish(page) {
  const found = await page.evaluate(() => {
    const texts = [document.title];
    for (const element of document.body.querySelectorAll('*')) {
      for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE) texts.push(node.textContent.trim());
      for (const name of ['aria-label', 'title', 'placeholder', 'data-label']) texts.push(element.getAttribute(name) ?? '');
    }
    return texts;
  });
  return found.filter((text) => ENGLISH.has(text));
}

const backgroundOf = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const [LIGHT, DARK] = ['rgb(244, 246, 247)', 'rgb(14, 18, 22)'];

test('the panel switches to Russian at once, on every page, and stays so after a reload', async () => {
  const page = await openPanel();
  await page.getByText(session.id.slice(0, 8)).waitFor();
  assert.ok((await leftInEnglish(page)).length > 10, 'it starts in English');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('menuitemradio', { name: 'Русский' }).click();
  const menu = page.getByRole('menu', { name: 'Настройки' });
  await menu.getByText('Как в системе').waitFor();
  await page.getByRole('columnheader', { name: 'Активность' }).waitFor();
  await page.getByRole('row', { name: bare.id.slice(0, 8) }).getByText('без окна').waitFor();
  assert.deepEqual(await leftInEnglish(page), []);
  await page.keyboard.press('Escape');

  await page.getByRole('link', { name: session.id.slice(0, 8) }).click();
  await page.getByRole('heading', { name: 'Подключение' }).waitFor();
  await page.locator('[data-testid="live-screen"][data-state="connected"]').waitFor();
  await page.getByRole('tab', { name: 'Python' }).click();
  assert.equal(await page.title(), `Сессия ${session.id.slice(0, 8)} · camofleet`);
  assert.deepEqual(await leftInEnglish(page), []);

  await page.reload();
  await page.getByRole('heading', { name: 'Подключение' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'ru');
  assert.equal(await page.getByRole('tab', { name: 'Python' }).getAttribute('aria-selected'), 'true', 'the other choice is remembered too');
  await page.goto(server.url);
  await page.getByRole('table', { name: 'Сессии' }).waitFor();
  assert.deepEqual(await leftInEnglish(page), []);

  // The page with a single live view follows the choice too.
  await page.goto(server.url + session.vnc.http);
  await page.getByRole('application', { name: 'Живой экран' }).waitFor();
  assert.equal(await page.locator('html').getAttribute('lang'), 'ru');
  await page.context().close();
});

test('a browser that prefers Russian gets it, and English when that is chosen', async () => {
  const page = await openPanel({ locale: 'ru-RU' });
  await page.getByRole('button', { name: 'Запустить сессию' }).waitFor();
  await page.getByRole('button', { name: 'Настройки' }).click();
  await page.getByRole('menuitemradio', { name: 'English' }).click();
  await page.reload();
  await page.getByRole('button', { name: 'Launch session' }).waitFor();
  await page.context().close();
});

test('the theme follows the system, also when that changes, until another is chosen, which is remembered', async () => {
  const page = await openPanel({ colorScheme: 'dark' });
  await page.getByRole('button', { name: 'Settings' }).waitFor();
  assert.equal(await backgroundOf(page), DARK);
  await page.emulateMedia({ colorScheme: 'light' });
  assert.equal(await backgroundOf(page), LIGHT);

  for (const [name, background, system] of [
    ['Dark', DARK, 'light'],
    ['Light', LIGHT, 'dark'],
  ]) {
    await page.emulateMedia({ colorScheme: system });
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('menuitemradio', { name }).click();
    assert.equal(await backgroundOf(page), background);
    await page.reload();
    await page.getByRole('button', { name: 'Settings' }).waitFor();
    assert.equal(await backgroundOf(page), background);
  }

  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('menuitemradio', { name: 'Like the system' }).click();
  assert.equal(await backgroundOf(page), DARK);
  await page.context().close();
});

test('no notice covers the buttons of a dialog, however wide the window is', async () => {
  const page = await openPanel({}, `sessions/local/${session.id}`);
  await page.getByRole('button', { name: 'Touch', exact: true }).waitFor();
  await page.context().setOffline(true);
  await page.getByRole('button', { name: 'Touch', exact: true }).click();
  const notice = page.getByRole('alert').filter({ hasText: 'was not touched' });
  await notice.waitFor();
  await page.context().setOffline(false);
  await page.goto(`${server.url}/#/`);
  await page.getByRole('button', { name: 'Launch session' }).click();
  const dialog = page.getByRole('dialog');
  for (const [width, height] of [[1920, 1080], [1440, 900], [1280, 720], [1089, 800], [1080, 800], [800, 700], [390, 800]]) {
    await page.setViewportSize({ width, height });
    for (const name of ['Close', 'Cancel', 'Launch']) {
      // A trial waits until the button would receive the click itself.
      await dialog.getByRole('button', { name, exact: true }).click({ trial: true });
    }
    const shown = await notice.boundingBox();
    assert.ok(shown.x >= 0 && shown.y >= 0 && shown.x + shown.width <= width && shown.width > 150, `${width}: ${JSON.stringify(shown)}`);
  }
  await page.context().close();
});

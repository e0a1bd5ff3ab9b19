/**
 * The launch form of the panel in a real Chromium, with real browsers: from the form to a session, or to the
 * reason of the failure.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { startChromium } from './helpers/chromium.mjs';
import { Server, temporaryDirectory, test } from './helpers/server.mjs';
import { Site } from './helpers/site.mjs';

const FINDING_MS = 15_000;
/** How long a browser may take to start on a busy machine, in milliseconds. */
const STARTING_MS = 40_000;
/** The server's defaults for sessions. */
const DEFAULTS = { RUNNER_SESSION_DEFAULTS__IDLE_TTL_SECONDS: '600', RUNNER_SESSION_DEFAULTS__HEADLESS: 'true', RUNNER_START_URL_WAIT: 'domcontentloaded' };

let site, chromium;
const complaints = [];

before(async () => {
  site = await Site.open({ '/': '<!doctype html><title>start</title>' });
  chromium = await startChromium();
});

after(async () => {
  await chromium?.close();
  await site?.close();
});

/** Opens the panel as a first-time visitor. */
async function openPanel(server) {
  const page = await chromium.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(FINDING_MS);
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(server.url);
  await page.locator('.connection.live').waitFor();
  return page;
}

const formOf = (page) => page.getByRole('dialog', { name: 'Launch a session' });
const cardsOf = (page) => page.getByRole('region', { name: 'Launches' });
const launch = (page) => formOf(page).getByRole('button', { name: 'Launch', exact: true }).click();

async function openForm(page) {
  await page.getByRole('button', { name: 'Launch session' }).click();
  await formOf(page).waitFor();
  return formOf(page);
}

/** Records the states of launches from now on. */
function watchStates(page) {
  return page.evaluate(() => {
    const seen = (globalThis.states = new Set());
    const look = () => document.querySelectorAll('.launch-card .badge').forEach((badge) => seen.add(badge.textContent));
    new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
  });
}

test('a session is launched from the form, shown from INIT to READY, and opened', async (context) => {
  const server = await Server.start(DEFAULTS);
  try {
    const page = await openPanel(server);
    // By keyboard only.
    await page.getByRole('button', { name: 'Launch session' }).focus();
    await page.keyboard.press('Enter');
    const form = formOf(page);

    await form.getByText('empty for the worker’s default, 10 min.').waitFor();
    const chosen = (name) => form.getByLabel(name).evaluate(({ selectedOptions }) => selectedOptions[0].textContent);
    assert.equal(await chosen('Headless'), 'Default: Yes');
    assert.equal(await chosen('Start URL counts as open'), 'Default: When the document is there');

    const ttl = form.getByLabel('Idle TTL, seconds');
    await ttl.fill('29');
    await ttl.press('Enter');
    await form.getByText('Idle TTL has to be a whole number of seconds from 30 to 3600.').waitFor();
    assert.deepEqual(await server.sessions(), [], 'nothing was sent');
    await ttl.fill('120');
    await form.getByLabel('Start URL', { exact: true }).fill(site.url);
    await form.getByRole('button', { name: 'Add label' }).click();
    await form.getByLabel('Key of label 1').fill('team');
    await form.getByLabel('Value of label 1').fill('search');
    await watchStates(page);
    await ttl.press('Enter');

    const took = cardsOf(page).getByText(/^READY on local after (\d\.\d{3}|\d{2}\.\d) sec$/);
    await took.waitFor({ timeout: STARTING_MS });
    context.diagnostic(await took.textContent());
    assert.ok(await page.evaluate(() => globalThis.states.has('INIT')), 'it was seen while it was INIT');
    const [session] = await server.sessions();
    assert.deepEqual([session.idle_ttl_seconds, session.headless, session.labels], [120, true, { team: 'search' }]);
    assert.match(session.request_id, /^panel-[0-9a-f]{24}$/);
    await site.visit(/^\/$/);

    await cardsOf(page).getByRole('link', { name: 'Open' }).click();
    await page.getByRole('region', { name: 'History' }).getByText('Ready for clients').waitFor();
    assert.ok(page.url().endsWith(`#/sessions/local/${session.id}`));
    await server.end(session);
    await page.close();
  } finally {
    await server.stop();
  }
});

test('a failed launch shows the reason, and can be retried with the same form', async () => {
  const directory = temporaryDirectory();
  const broken = path.join(directory, 'firefox');
  fs.writeFileSync(broken, '#!/bin/sh\nsleep 0.3\necho "this is no browser" >&2\nexit 3\n', { mode: 0o755 });
  const server = await Server.start({ RUNNER_FIREFOX_PATH: broken }, { healthy: false });
  try {
    const page = await openPanel(server);
    const form = await openForm(page);
    await form.getByLabel('Headless').selectOption('Yes');
    await form.getByLabel('Start URL', { exact: true }).fill('example.com');
    await launch(page);
    const card = cardsOf(page).getByRole('article').filter({ hasText: 'The session did not start' });
    await card.getByText('the browser did not start').waitFor({ timeout: STARTING_MS });
    const [ended] = await server.sessions({ ended: true });
    assert.equal(ended.end_reason, 'launch_failed');
    await card.getByRole('button', { name: 'Try again' }).click();
    assert.equal(await formOf(page).getByLabel('Start URL', { exact: true }).inputValue(), 'example.com');
    await page.close();
  } finally {
    await server.stop();
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

test('a live view that no worker supports is refused in the form, before the launch', async () => {
  const server = await Server.start({ WORKER_SUPPORTS_VNC: '0' });
  try {
    const page = await openPanel(server);
    const form = await openForm(page);
    await form.getByLabel('Live view').check();
    await form.getByRole('alert').filter({ hasText: 'No healthy worker has live views at present' }).waitFor();
    await launch(page);
    assert.deepEqual(await server.sessions(), []);
    assert.ok(await form.isVisible());
    await page.close();
  } finally {
    await server.stop();
  }
});

test('a preset is saved, survives a reload, and can be applied, renamed and deleted', async () => {
  const server = await Server.start();
  try {
    const page = await openPanel(server);
    const choose = async (role, name) => {
      await page.getByRole('button', { name: /^Preset/ }).click();
      await page.getByRole(role, { name, exact: true }).click();
    };
    const ttl = (await openForm(page)).getByLabel('Idle TTL, seconds');
    await ttl.fill('45');
    await choose('menuitem', 'Save as…');
    await page.getByLabel('Name of the preset').fill('brief');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Preset brief' }).waitFor();

    await page.reload();
    await openForm(page);
    assert.equal(await ttl.inputValue(), '', 'fields that were not requested stay empty');
    await choose('menuitemradio', 'brief');
    assert.equal(await ttl.inputValue(), '45');
    await choose('menuitem', 'Open the form with it');
    await choose('menuitem', 'Rename…');
    await page.getByLabel('New name of the preset').fill('short');
    await page.keyboard.press('Enter');

    await page.reload();
    await openForm(page);
    await page.getByRole('button', { name: 'Preset short' }).waitFor();
    assert.equal(await ttl.inputValue(), '45');
    await choose('menuitem', 'Delete “short”');
    await page.reload();
    await openForm(page);
    assert.equal(await ttl.inputValue(), '');
    await page.getByRole('button', { name: 'Preset No preset' }).waitFor();
    await page.close();
  } finally {
    await server.stop();
  }
});

test('the panel’s own code caused no errors', () => {
  assert.deepEqual(complaints, []);
});

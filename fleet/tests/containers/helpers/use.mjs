/** What users do with a fleet: attach a Playwright client, use a profile, watch a screen. */
import assert from 'node:assert/strict';
import { abilities, attach, blankPage } from '../../e2e/helpers/playwright.mjs';
import { Viewer } from '../../e2e/helpers/rfb.mjs';
import { colouredPage } from '../../e2e/helpers/site.mjs';

/** The URL of a page of a single colour, without a server. */
export function colouredUrl(colour) {
  return `data:text/html,${encodeURIComponent(colouredPage(colour))}`;
}

/**
 * Attaches a client to a session through this origin, and opens a page that checks for the features of a
 * desktop browser.
 */
export async function attachAndRead({ wsUrl }, session) {
  const browser = await attach({ wsUrl }, session);
  try {
    const page = await blankPage(browser);
    await page.goto('data:text/html,<h1>Hello from a container</h1>');
    assert.equal(await page.textContent('h1'), 'Hello from a container');
    assert.deepEqual(await abilities(page), { webgl: !session.headless, h264: 'probably' });
  } finally {
    await browser.close();
  }
}

/** A site that needs no network: the client answers its requests. */
const SITE = 'http://site.example/';

/** Runs this on a page of that site in the context of a session's profile, with what it stores and shows. */
async function onSite({ wsUrl }, session, work) {
  const browser = await attach({ wsUrl }, session);
  try {
    const [context] = browser.contexts();
    const page = await context.newPage();
    await page.route(SITE, (route) => route.fulfill({ contentType: 'text/html', body: '<h1>A site</h1>' }));
    await page.goto(SITE);
    return await work(page, context);
  } finally {
    await browser.close();
  }
}

/** Stores a text in a session's profile: as a cookie and in localStorage. */
export function store(origin, session, text) {
  return onSite(origin, session, (page) =>
    page.evaluate((value) => {
      globalThis.document.cookie = `stored=${value}; max-age=3600`;
      localStorage.setItem('stored', value);
    }, text),
  );
}

/** What is stored in a session's profile, as cookie and in localStorage. */
export function stored(origin, session) {
  return onSite(origin, session, (page) => page.evaluate(() => [globalThis.document.cookie, localStorage.getItem('stored')]));
}

/** Polls a live view until it shows a colour. */
export async function showsColour(url, colour) {
  const viewer = await Viewer.connect(url);
  try {
    await viewer.shows(colour);
  } finally {
    await viewer.close();
  }
}

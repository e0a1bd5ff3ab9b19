/** What users do with a fleet: attach a Playwright client, watch a screen. */
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

/** Polls a live view until it shows a colour. */
export async function showsColour(url, colour) {
  const viewer = await Viewer.connect(url);
  try {
    await viewer.shows(colour);
  } finally {
    await viewer.close();
  }
}

/**
 * Actions inside a running browser, done as another client of its shared server. Contexts survive their
 * client, so what is opened here is there for the next client.
 */
import { firefox } from 'playwright-core';

/**
 * Connects to a browser, does something in it, and disconnects without closing anything.
 *
 * @template T
 * @param {string} endpoint the `ws://` address of its server
 * @param {number} timeout how long connecting may take, in milliseconds
 * @param {(browser: import('playwright-core').Browser) => Promise<T>} work what to do
 * @returns {Promise<T>} what the work returns
 * @throws {Error} when the server can't be reached or the work fails
 */
async function visit(endpoint, timeout, work) {
  const browser = await firefox.connect(endpoint, { timeout });
  try {
    return await work(browser);
  } finally {
    // On a connected browser this only disconnects; after a crash it is disconnected already.
    await browser.close().catch(() => {});
  }
}

/**
 * Reads a browser's version, which also proves that its server answers.
 *
 * @param {string} endpoint the `ws://` address of its server
 * @param {number} timeout in milliseconds
 * @returns {Promise<string>} for example `153.7.0`
 * @throws {Error} when the server can't be reached
 */
export function browserVersion(endpoint, timeout) {
  return visit(endpoint, timeout, async (browser) => browser.version());
}

/**
 * Opens a URL in a new context with a page of the window's size, and leaves both open.
 *
 * A page that fails to load stays open too, so that viewers see the browser's error page.
 *
 * @param {string} endpoint the `ws://` address of its server
 * @param {{url: string, wait: 'load'|'domcontentloaded', timeout: number}} request the URL, what to wait for, and how long in milliseconds
 * @returns {Promise<void>}
 * @throws {Error} when the URL can't be loaded in time
 */
export function openPage(endpoint, { url, wait, timeout }) {
  return visit(endpoint, timeout, async (browser) => {
    const context = await browser.newContext({ viewport: null });
    const page = await context.newPage();
    await page.goto(url, { waitUntil: wait, timeout });
  });
}

/**
 * Closes every context of a browser, with its pages and cookies.
 *
 * @param {string} endpoint the `ws://` address of its server
 * @param {number} timeout for connecting, in milliseconds
 * @returns {Promise<void>}
 * @throws {Error} when the server can't be reached or a context can't be closed
 */
export function discardContexts(endpoint, timeout) {
  return visit(endpoint, timeout, async (browser) => {
    await Promise.all(browser.contexts().map((context) => context.close()));
  });
}

/**
 * What the driver does inside a running browser, as just another client of its shared server: contexts stay
 * when a client leaves, so what it opens is there for whoever attaches next.
 */
import { firefox } from 'playwright-core';

/**
 * Attaches to a browser, works in it, and leaves without closing anything.
 *
 * @template T
 * @param {string} endpoint the `ws://` address of its server
 * @param {number} timeout how long attaching may take, in milliseconds
 * @param {(browser: import('playwright-core').Browser) => Promise<T>} work what to do
 * @returns {Promise<T>} what the work returns
 * @throws {Error} when the server can't be reached or the work fails
 */
async function visit(endpoint, timeout, work) {
  const browser = await firefox.connect(endpoint, { timeout });
  try {
    return await work(browser);
  } finally {
    // On a connected browser this only disconnects; after a crash there is nothing to disconnect from.
    await browser.close().catch(() => {});
  }
}

/**
 * Asks a browser for its version, which also proves that its server answers.
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
 * Opens a URL in a new context and page as large as its window, and leaves both open.
 *
 * A page that fails to load stays too: a viewer then sees the browser's own error page.
 *
 * @param {string} endpoint the `ws://` address of its server
 * @param {{url: string, wait: 'load'|'domcontentloaded', timeout: number}} request the URL, what to wait for,
 *   and how long in milliseconds
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
 * Closes every context of a browser, and so all pages and cookies in them.
 *
 * @param {string} endpoint the `ws://` address of its server
 * @param {number} timeout in milliseconds, for attaching
 * @returns {Promise<void>}
 * @throws {Error} when the server can't be reached or a context can't be closed
 */
export function discardContexts(endpoint, timeout) {
  return visit(endpoint, timeout, async (browser) => {
    await Promise.all(browser.contexts().map((context) => context.close()));
  });
}

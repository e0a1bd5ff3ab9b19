/**
 * Actions inside a running browser, done as another client of its shared server. Contexts survive their
 * client, so what is opened here is there for the next client.
 */
import fs from 'node:fs';
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
 * Opens a URL in the default context, in its blank page or in a new one, and leaves it open.
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
    const [context] = browser.contexts();
    const blank = context.pages().find((page) => page.url() === 'about:blank');
    const page = blank ?? (await context.newPage());
    await page.goto(url, { waitUntil: wait, timeout });
  });
}

/**
 * Closes every context of a browser, with its pages and cookies. The default context is a blank one afterwards; stored user
 * data stays.
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

/**
 * Writes the cookies of the default context to a file, as Playwright's JSON. They are too many for a line of the protocol.
 *
 * @param {string} endpoint the `ws://` address of its server
 * @param {string} file where to write them
 * @param {number} timeout for connecting, in milliseconds
 * @returns {Promise<void>}
 * @throws {Error} when the server can't be reached or the file can't be written
 */
export function readCookies(endpoint, file, timeout) {
  return visit(endpoint, timeout, async (browser) => {
    const cookies = await browser.contexts()[0].cookies();
    fs.writeFileSync(file, JSON.stringify(cookies), { mode: 0o600, flag: 'wx' });
  });
}

/** How many lost cookies an error names. */
const MOST_NAMED = 5;

/**
 * The cookies that a browser was given and does not have: Firefox drops what no site could have set, such as one of a public
 * suffix, without an error.
 *
 * @param {object[]} given as for Playwright's `context.addCookies()`
 * @param {object[]} kept as from `context.cookies()`
 * @returns {object[]} those of the given
 */
function missing(given, kept) {
  const key = ({ name, domain, path = '/' }) => JSON.stringify([name, asciiDomain(domain), path]);
  const has = new Set(kept.map(key));
  // One that has expired deletes itself, or ends before it is looked for.
  const lasts = ({ expires = -1 }) => expires < 0 || expires * 1000 > Date.now();
  return given.filter((cookie) => lasts(cookie) && !has.has(key(cookie)));
}

/** A domain as Firefox stores it: in lower case and ASCII. */
function asciiDomain(domain) {
  const dot = domain.startsWith('.') ? '.' : '';
  try {
    return dot + new URL(`http://${domain.slice(dot.length)}`).hostname;
  } catch {
    return domain;
  }
}

/** Some of these cookies, by name and domain. */
function named(cookies) {
  const some = cookies.slice(0, MOST_NAMED).map(({ name, domain }) => `${name} of ${domain}`);
  if (cookies.length > MOST_NAMED) some.push(`and ${cookies.length - MOST_NAMED} more`);
  return some.join(', ');
}

/**
 * Replaces the cookies of the default context by those in a file of Playwright's JSON. They are tried in a context of their own:
 * if the browser refuses one, or does not keep it, nothing is changed.
 *
 * @param {string} endpoint the `ws://` address of its server
 * @param {string} file where they are
 * @param {number} timeout for connecting, in milliseconds
 * @returns {Promise<void>}
 * @throws {Error} when the server can't be reached, or the browser refuses a cookie: the error has `refused` then
 */
export function writeCookies(endpoint, file, timeout) {
  const cookies = JSON.parse(fs.readFileSync(file, 'utf8'));
  return visit(endpoint, timeout, async (browser) => {
    const [context] = browser.contexts();
    const trial = await browser.newContext();
    try {
      await trial.addCookies(cookies).catch(async (error) => {
        // Only a browser that still answers has refused them.
        const answers = await trial.cookies().then(() => true, () => false);
        throw Object.assign(error, { refused: answers });
      });
      const lost = missing(cookies, await trial.cookies());
      if (lost.length > 0) throw Object.assign(new Error(`no site could set ${named(lost)}; leave out what is named`), { refused: true });
    } finally {
      await trial.close();
    }
    await context.clearCookies();
    await context.addCookies(cookies);
  });
}

/**
 * The default context of a browser: the first of `browser.contexts()` for every client.
 *
 * With stored user data it is that of the browser itself. Without, it is a context like those that clients make, and is
 * made again when one of them closes it. Like `playwright.mjs`, this file uses Playwright's internals.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { log } from './output.mjs';
import { describe } from './errors.mjs';

/** Its pages have the size of their window, as viewers see them. */
const OPTIONS = Object.freeze({ acceptDownloads: 'accept', noDefaultViewport: true });

/** How long closing the pages of the default context may take, in milliseconds; a page that hangs does not answer. */
const CLOSE_PATIENCE_MS = 5_000;

/** A place below which no site has cookies: those that Firefox finds there are kept for all places. */
const NO_SITE = 'file:///';

/** The context of the browser itself, in WebDriver BiDi. */
const OWN = 'default';

/** What is a text in every encoding. */
const ASCII = /^[\x20-\x7e]*$/;

/**
 * Options with which `launchServer` serves a browser with stored user data, whose context is the default one.
 *
 * `_userDataDir` is internal to Playwright: the only way to serve user data to remote clients. Its other options are those
 * of `launchPersistentContext` on the wire.
 *
 * @param {string} directory the user data's directory
 * @returns {object} options for `firefox.launchServer`
 */
export function persistentOptions(directory) {
  return { _userDataDir: directory, ...OPTIONS };
}

/**
 * Limits Playwright's commands about the cookies of the browser's own context to that context: it names none, which stands
 * for all contexts.
 *
 * @param {object} session Playwright's WebDriver BiDi session of a stock Firefox
 * @returns {void}
 */
function limitToContext(session) {
  const { send } = session;
  session.send = (method, params) => {
    const { partition } = params ?? {};
    const limited = method.startsWith('storage.') && partition?.type === 'storageKey';
    return send.call(session, method, limited ? { ...params, partition: { ...partition, userContext: partition.userContext ?? OWN } } : params);
  };
}

/** The default context of one browser, with Playwright's server-side objects. */
export class DefaultContext {
  #browser;
  #progress;
  #context = null;

  /**
   * @param {object} browser Playwright's server-side browser
   * @param {object} progress Playwright's `nullProgress`: the operations have no time limit of their own
   */
  constructor(browser, progress) {
    this.#browser = browser;
    this.#progress = progress;
    const contexts = browser.contexts;
    // A default context that was made again would be the last one otherwise.
    if (browser._browserSession) limitToContext(browser._browserSession);
    browser.contexts = () => contexts.call(browser).sort((a, b) => Number(b === this.#context) - Number(a === this.#context));
  }

  /**
   * Makes the context, unless the browser has one with its user data.
   *
   * @returns {Promise<void>}
   * @throws {Error} when the browser does not make one
   */
  async provide() {
    this.#context = this.#browser._defaultContext ?? (await this.#browser.newContext(this.#progress, { ...OPTIONS }));
  }

  /**
   * Reads its cookies.
   *
   * @returns {Promise<object[]>} as Playwright's `context.cookies()`
   * @throws {Error} when the browser has ended
   */
  cookies() {
    return this.#context.cookies(this.#progress);
  }

  /**
   * Reads the cookies that `addCookies()` sets again as they are.
   *
   * WebDriver BiDi of a stock Firefox lists a cookie that a site has only below another site as if it were that site's own,
   * and encodes a text that is not ASCII twice when it sets it.
   *
   * @returns {Promise<object[]>} as {@link cookies}, without those of frames of other sites, and those that are not ASCII
   * @throws {Error} when the browser has ended
   */
  async ownCookies() {
    const cookies = await this.cookies();
    const session = this.#browser._browserSession;
    if (!session) return cookies;
    const partition = { type: 'storageKey', userContext: this.#context._browserContextId, sourceOrigin: NO_SITE };
    const found = (await session.send('storage.getCookies', { partition })).cookies;
    const own = new Set(found.map(({ name, value, domain, path }) => JSON.stringify([name, value.value, domain, path])));
    return cookies.filter(
      ({ name, value, domain, path }) => ASCII.test(name + value) && own.has(JSON.stringify([name, value, domain, path])),
    );
  }

  /**
   * Adds cookies to it.
   *
   * @param {object[]} cookies as for Playwright's `context.addCookies()`
   * @returns {Promise<void>}
   * @throws {Error} when the browser refuses one
   */
  addCookies(cookies) {
    return this.#context.addCookies(cookies);
  }

  /**
   * Closes a context for a client. If it is the default one, the client finds a blank one afterwards.
   *
   * @param {object} dispatcher Playwright's dispatcher of the context, for the client's connection
   * @param {() => Promise<void>} close closes the context itself
   * @returns {Promise<void>} once it is closed for this client
   * @throws {Error} when the browser fails
   */
  async closeFor(dispatcher, close) {
    const context = dispatcher._object;
    if (context !== this.#context) return close();
    if (context !== this.#browser._defaultContext) {
      await this.provide();
      return close();
    }
    // Closing it would end the browser, and with it all other clients.
    await this.#clear(context);
    const browser = dispatcher.parentScope();
    const { from } = dispatcher.constructor;
    dispatcher._dispatchEvent('close');
    dispatcher._dispose();
    browser._dispatchEvent('context', { context: from(browser, context) });
  }

  /**
   * Closes all contexts but this one, of which stored user data would otherwise keep traces: Firefox makes a container for
   * each.
   *
   * @returns {Promise<void>} once they are closed, or could not be
   */
  async closeOthers() {
    const others = this.#browser.contexts().filter((context) => context !== this.#context);
    await Promise.allSettled(others.map((context) => context.close(this.#progress, { reason: 'the session ends' })));
  }

  /** Replaces the pages of the browser's own context by a blank one. Its user data stays. */
  async #clear(context) {
    const pages = context.pages();
    // A browser without a window would end.
    await context.newPage(this.#progress);
    const closed = Promise.allSettled(pages.map((page) => page.close(this.#progress)));
    const patience = new AbortController();
    await Promise.race([closed, delay(CLOSE_PATIENCE_MS, null, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    for (const reset of [
      () => context.setExtraHTTPHeaders(this.#progress, []),
      () => context.setOffline(this.#progress, false),
      () => context.setGeolocation(undefined),
      () => context.clearPermissions(),
    ]) {
      await reset().catch((error) => log(`the default context keeps a setting of a client: ${describe(error)}`));
    }
  }
}

/**
 * Cookies that a site sets without an expiry, which Firefox forgets when it ends. Many sites keep their users logged in by
 * them, so with stored user data they are there again in the next browser, as with Firefox' own "open previous windows and
 * tabs".
 */
import path from 'node:path';
import { describe } from './errors.mjs';
import { log } from './output.mjs';
import { readText, replaceFile } from './userData.mjs';

/** The file in the user data's directory: a list as `context.cookies()` returns it. */
const FILE = 'camofleet-session-cookies.json';

/** How often they are stored while the browser runs, in milliseconds: so many may be missing after a crash. */
const SAVE_EVERY_MS = 5_000;

/** What stands for "no expiry" in Playwright's cookies. */
const NO_EXPIRY = -1;

/** The session cookies of a browser with stored user data. */
export class SessionCookies {
  #file;
  #defaultContext;
  #stored = '';
  #saving = null;
  #timer = null;

  /**
   * @param {string} directory the user data's directory
   * @param {import('./defaultContext.mjs').DefaultContext} defaultContext whose cookies they are
   */
  constructor(directory, defaultContext) {
    this.#file = path.join(directory, FILE);
    this.#defaultContext = defaultContext;
  }

  /**
   * Gives the browser the stored cookies, and stores them again and again from now on.
   *
   * @returns {Promise<void>} once they are set; cookies that the browser refuses, and a damaged file, are left out
   */
  async restore() {
    try {
      this.#stored = readText(this.#file);
      const cookies = JSON.parse(this.#stored || '[]');
      if (cookies.length > 0) await this.#defaultContext.addCookies(cookies);
    } catch (error) {
      log(`session cookies were not restored: ${describe(error)}`);
    }
    this.#timer = setInterval(() => this.#save(), SAVE_EVERY_MS);
  }

  /**
   * Stores them for the last time.
   *
   * @returns {Promise<void>} once they are stored; never if the browser does not answer
   */
  async finish() {
    this.stop();
    await this.#save();
  }

  /** Stores them no more. */
  stop() {
    clearInterval(this.#timer);
  }

  /** A browser that does not answer has one pending request. */
  #save() {
    this.#saving ??= this.#write().finally(() => (this.#saving = null));
    return this.#saving;
  }

  async #write() {
    try {
      const cookies = (await this.#defaultContext.ownCookies()).filter(({ expires }) => expires === NO_EXPIRY);
      const text = JSON.stringify(cookies);
      if (text === this.#stored) return;
      replaceFile(this.#file, text);
      this.#stored = text;
    } catch (error) {
      // It ended meanwhile, or the disk is full; what was stored before stays.
      log(`session cookies were not stored: ${describe(error)}`);
    }
  }
}

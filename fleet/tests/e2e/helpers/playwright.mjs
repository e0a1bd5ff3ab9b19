/** Playwright clients, as users of camofleet run them. */
import { firefox } from 'playwright-core';
import { createRequire } from 'node:module';

/** The client's Playwright, which is also the driver's. */
export const PLAYWRIGHT = createRequire(import.meta.url)('playwright-core/package.json').version;

/** The User-Agent of a Playwright client: the server compares the versions. */
export const USER_AGENT = `Playwright/${PLAYWRIGHT} (x64; debian 12) node/20`;

/** The headers of its handshake when it attaches to a session. */
export const CLIENT_HEADERS = { 'user-agent': USER_AGENT, 'x-playwright-browser': 'firefox' };

/**
 * Attaches a client to a session.
 *
 * @param {import('./server.mjs').Server} server the session's server
 * @param {{ws_endpoint: string}} session as the API described it
 * @returns {Promise<import('playwright-core').Browser>} the attached browser; closing it only detaches
 */
export function attach(server, session) {
  return firefox.connect(server.wsUrl + session.ws_endpoint, { timeout: 20_000 });
}

/**
 * Checks a page for features of a desktop browser, which need system libraries.
 *
 * @param {import('playwright-core').Page} page a page of a browser with a display: headless Firefox has no
 * WebGL
 * @returns {Promise<{webgl: boolean, h264: string}>} `h264` is the result of `canPlayType`: empty for "no"
 */
export function abilities(page) {
  return page.evaluate(() => ({
    webgl: Boolean(document.createElement('canvas').getContext('webgl2')),
    h264: document.createElement('video').canPlayType('video/mp4; codecs="avc1.42E01E, mp4a.40.2"'),
  }));
}

/** Opens a blank page in a new context. */
export async function blankPage(browser) {
  return (await browser.newContext()).newPage();
}

/** A site that remembers its visitors in every way that a browser offers, for tests of profiles. */
import { once } from 'node:events';
import http from 'node:http';

/** What the page's script does; functions are called by tests. */
const SCRIPT = `
const database = () => new Promise((resolve, reject) => {
  const opening = indexedDB.open('memory', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('values');
  opening.onsuccess = () => resolve(opening.result);
  opening.onerror = () => reject(opening.error);
});
const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
/** Stores a value in all ways. */
async function remember(value) {
  document.cookie = 'lasting=' + value + '; max-age=31536000; path=/';
  localStorage.setItem('value', value);
  const db = await database();
  await done(db.transaction('values', 'readwrite').objectStore('values').put(value, 'value'));
  const cache = await caches.open('memory');
  await cache.put('/value', new Response(value));
  const registration = await navigator.serviceWorker.register('/worker.js');
  await navigator.serviceWorker.ready;
  return Boolean(registration);
}
/** What is remembered, by way. */
async function recall() {
  const cookies = Object.fromEntries(document.cookie.split('; ').filter(Boolean).map((cookie) => cookie.split('=')));
  const db = await database();
  const cached = await (await caches.open('memory')).match('/value');
  return {
    cookie: cookies.lasting ?? null,
    local: localStorage.getItem('value'),
    indexed: (await done(db.transaction('values').objectStore('values').get('value'))) ?? null,
    cache: cached ? await cached.text() : null,
    worker: (await navigator.serviceWorker.getRegistrations()).length,
  };
}
`;

/** Everything that a visitor without a past shows. */
export const NOTHING = { cookie: null, local: null, indexed: null, cache: null, worker: 0 };

/** What a visitor shows who was told to remember this value. */
export function memoryOf(value) {
  return { cookie: value, local: value, indexed: value, cache: value, worker: 1 };
}

/** Within this time Firefox has stored everything by itself. */
const STORED_MS = 6_000;

/**
 * Waits until a browser has stored what its pages remember, by its own clock: a machine that stalls delays both.
 *
 * @param {import('playwright-core').BrowserContext} context its default context
 */
export async function untilStored(context) {
  const page = context.pages()[0] ?? (await context.newPage());
  await page.evaluate((ms) => new Promise((resolve) => setTimeout(resolve, ms)), STORED_MS);
}

/**
 * Starts the site on loopback, where browsers allow service workers without TLS.
 *
 * @returns {Promise<{url: string, close: () => Promise<void>}>} its page
 */
export async function openMemorySite() {
  const site = http.createServer((request, response) => {
    if (request.url === '/worker.js') {
      return response.setHeader('content-type', 'text/javascript').end('self.addEventListener("fetch", () => {});');
    }
    return response.setHeader('content-type', 'text/html').end(`<!doctype html><title>memory</title><script>${SCRIPT}</script>`);
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  return {
    url: `http://localhost:${site.address().port}/`,
    async close() {
      site.close();
      site.closeAllConnections();
      await once(site, 'close');
    },
  };
}

/** Opens the site in a context's first page, or in a new one. */
export async function visit(context, site) {
  const page = context.pages()[0] ?? (await context.newPage());
  await page.goto(site.url);
  return page;
}

/** Tells the site to remember a value. */
export async function remember(context, site, value) {
  const page = await visit(context, site);
  await page.evaluate((told) => globalThis.remember(told), value);
}

/** What the site remembers of a visitor. */
export async function recall(context, site) {
  const page = await visit(context, site);
  return page.evaluate(() => globalThis.recall());
}

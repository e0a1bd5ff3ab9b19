/**
 * Bounds the texts in what a browser says by itself: a page chooses most of them, and Playwright keeps the messages and
 * errors of each page, its last requests, the addresses of its frames and workers, and more for as long as a client knows of it.
 *
 * Answers to what was asked of the browser are not shortened: they are what a client wanted, and are kept by nobody.
 */
import { cut } from './text.mjs';

/** How many characters the long texts of a message may have together. */
const MESSAGE = 64 << 10;
/** How much of all messages together counts as long texts, in characters. */
const TOTAL = 64 << 20;
/** What is never shortened: numbers, keys, the ids of the protocols, and the names of files. */
const SHORTEST = 256;
/** What each value of a list counts for at least. */
const ITEM = 16;
/** How deep the values of a message are looked into; browsers describe them less deep. */
const DEPTH = 32;

/**
 * The kinds of messages: how many characters of a message are always allowed, and how many it may have once all of its kind
 * had more than that by `TOTAL` together. A page logs as much as it likes; what a browser says of requests, frames and others
 * is short, but for pages that want it to be long, and a client relies on it: no server takes headers as long as this.
 */
const LOGGED = { always: 1 << 10 };
const OTHER = { always: 32 << 10 };

/** WebDriver BiDi's messages, and Juggler's, of what a page logs and of errors that it does not catch. */
const LOG_MESSAGES = new Set(['log.entryAdded', 'Runtime.console', 'Page.uncaughtError']);

/**
 * Messages that hold what a client exchanges with a page, which is of no use in part: calls of a client's functions (they are
 * bounded while they wait for their answers), pictures, and the messages of WebSockets. Nothing of it is kept.
 */
const WHOLE = new Set([
  'script.message',
  'Page.bindingCalled',
  'Page.screencastFrame',
  'Page.webSocketFrameSent',
  'Page.webSocketFrameReceived',
]);

/** The body of a request, in Juggler's base64. One over the limit is left out: a part of it would be another body. */
const MOST_POST_DATA = 4 << 20;

/**
 * Bounds the messages of one browser.
 *
 * @returns {(message: object) => object} shortens the texts of a message in place, if the browser sent it by itself
 */
export function messageBounds() {
  const totals = new Map();
  return function bound(message) {
    const { method, params } = message ?? {};
    if (method === undefined || !params || WHOLE.has(method)) return message;
    if (method === 'Page.dispatchMessageFromWorker') {
      // Juggler wraps what a worker says in a text.
      if (params.message?.length > SHORTEST) params.message = JSON.stringify(bound(JSON.parse(params.message)));
      return message;
    }
    const kind = LOG_MESSAGES.has(method) ? LOGGED : OTHER;
    const total = totals.get(kind) ?? 0;
    const { postData } = params;
    if (postData !== undefined) delete params.postData;
    const taken = shorten(params, total < TOTAL ? MESSAGE : kind.always);
    if (postData?.length <= MOST_POST_DATA) params.postData = postData;
    totals.set(kind, total + Math.max(0, taken - kind.always));
    return message;
  };
}

/** Shortens texts and lists in place until they have so many characters together, and says how many were taken. */
function shorten(params, most) {
  let left = most;
  const visit = (value, depth) => {
    if (typeof value === 'string') {
      if (value.length <= SHORTEST) return value;
      const shortened = cut(value, Math.max(SHORTEST, left));
      left -= shortened.length;
      return shortened;
    }
    if (!value || typeof value !== 'object') return value;
    if (depth > DEPTH) return null;
    if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index += 1) {
        if (left <= 0) {
          value.length = index;
          break;
        }
        left -= ITEM;
        value[index] = visit(value[index], depth + 1);
      }
      return value;
    }
    for (const key of Object.keys(value)) value[key] = visit(value[key], depth + 1);
    return value;
  };
  visit(params, 0);
  return most - left;
}

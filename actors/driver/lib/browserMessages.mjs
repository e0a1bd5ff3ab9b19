/**
 * Limits the texts in events that a browser sends by itself. Most of them are chosen by pages, and Playwright
 * keeps the console messages and errors of each page, its recent requests, the URLs of its frames and
 * workers, and more, for as long as a client refers to them.
 *
 * Responses to commands are not shortened: they are what the client asked for, and are not kept.
 */
import { truncate } from './text.mjs';

/** The maximum length of the long texts of one message, in characters. */
const MESSAGE = 64 << 10;
/** The total of long texts after which a browser's messages are shortened more, in characters. */
const TOTAL = 64 << 20;
/** Never shortened: numbers, keys, protocol ids, and file names. */
const SHORTEST = 256;
/** The minimum that each value of a list counts for. */
const ITEM = 16;
/** The maximum depth of values that is examined; browsers serialize less deeply. */
const DEPTH = 32;

/**
 * The kinds of messages: how many characters of a message are always allowed, and how many once the total of
 * its kind exceeds `TOTAL`. Pages log without limit; other events (requests, frames) are short unless a page
 * makes them long, and clients rely on them: no server accepts headers of this length.
 */
const LOGGED = { always: 1 << 10 };
const OTHER = { always: 32 << 10 };

/** Log entries and uncaught errors of a page, in WebDriver BiDi and in Juggler. */
const LOG_MESSAGES = new Set(['log.entryAdded', 'Runtime.console', 'Page.uncaughtError']);

/**
 * Messages that are useless in part: calls of a client's functions (limited elsewhere while they wait for an
 * answer), screencast frames, and WebSocket messages. Nothing of them is kept.
 */
const WHOLE = new Set([
  'script.message',
  'Page.bindingCalled',
  'Page.screencastFrame',
  'Page.webSocketFrameSent',
  'Page.webSocketFrameReceived',
]);

/**
 * A request's body, as base64 in Juggler. A body over the limit is dropped, because a part of it would be
 * another body.
 */
const MOST_POST_DATA = 4 << 20;

/**
 * Creates the limit of one browser's messages.
 *
 * @returns {(message: object) => object} shortens the texts of a message in place, if the browser sent it by
 * itself
 */
export function messageBounds() {
  const totals = new Map();
  return function bound(message) {
    const { method, params } = message ?? {};
    if (method === undefined || !params || WHOLE.has(method)) return message;
    if (method === 'Page.dispatchMessageFromWorker') {
      // Juggler wraps messages of workers in a string.
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

/** Shortens texts and lists in place to a total of so many characters, and returns how many were used. */
function shorten(params, most) {
  let left = most;
  const visit = (value, depth) => {
    if (typeof value === 'string') {
      if (value.length <= SHORTEST) return value;
      const shortened = truncate(value, Math.max(SHORTEST, left));
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

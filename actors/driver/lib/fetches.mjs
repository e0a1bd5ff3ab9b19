/**
 * Bounds the HTTP requests that clients make from here (`page.request`, `context.request`, `route.fetch`): this process makes
 * them, and keeps the bodies of their answers, decompressed, until the client disposes of them, if ever.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';
import https from 'node:https';
import zlib from 'node:zlib';
import { currentScope } from './isolation.mjs';

/** How large the body of one answer may be, decompressed, in bytes: a client gets it as one message of 1.4 times the size. */
const LARGEST = 64 << 20;
/** How many bytes the answers of one session may have together: one of the largest that arrives beside one that is kept. */
const MOST = 128 << 20;
/** What an answer takes beside its body and headers. */
const ANSWER = 1 << 10;
/** Of how many answers that were dropped it is known that they were. */
const MOST_DROPPED = 10_000;

/** The answer that the code at work receives. */
const receiving = new AsyncLocalStorage();

/** The answers of each launch. */
const launches = new WeakMap();

/** All answers of a session. */
class Answers {
  #bytes = 0;
  /** @type {Map<string, {bodies: Map, logs: Map, bytes: number}>} where each is kept, the oldest first */
  #kept = new Map();
  #dropped = new Set();

  /**
   * Makes room for bytes that arrive, at the cost of the oldest answers that are kept: few clients dispose of any.
   *
   * @returns {boolean} whether there is room
   */
  take(bytes) {
    this.#bytes += bytes;
    if (this.#bytes <= MOST) return true;
    for (const [id, { bodies, logs, bytes: freed }] of this.#kept) {
      this.#kept.delete(id);
      this.#bytes -= freed;
      logs.delete(id);
      if (bodies.delete(id)) this.#remember(id);
      if (this.#bytes <= MOST) return true;
    }
    return false;
  }

  giveBack(bytes) {
    this.#bytes -= bytes;
  }

  keep(id, answer) {
    this.#kept.set(id, answer);
    this.take(answer.bytes);
  }

  forget(id) {
    this.#bytes -= this.#kept.get(id)?.bytes ?? 0;
    this.#kept.delete(id);
  }

  wasDropped(id) {
    return this.#dropped.has(id);
  }

  #remember(id) {
    this.#dropped.add(id);
    if (this.#dropped.size > MOST_DROPPED) this.#dropped.delete(this.#dropped.values().next().value);
  }
}

/** An answer that arrives. */
class Arriving {
  #answers;
  #bytes = 0;
  /** @type {Error|null} why it was broken off */
  error = null;

  constructor(answers) {
    this.#answers = answers;
  }

  /** Counts what arrives in a stream, and breaks it off when it is too much. */
  watch(stream) {
    const { push } = stream;
    stream.push = (chunk, ...rest) => {
      if (chunk && !this.#take(chunk.length)) {
        stream.destroy(this.error);
        return false;
      }
      return push.call(stream, chunk, ...rest);
    };
  }

  /** Ends the count: the whole body is counted with what is kept, if it is. */
  end() {
    this.#answers.giveBack(this.#bytes);
    this.#bytes = 0;
  }

  #take(bytes) {
    this.#bytes += bytes;
    if (this.#answers.take(bytes) && this.#bytes <= LARGEST) return true;
    this.error ??= new Error(
      this.#bytes > LARGEST
        ? `the answer's body is larger than ${LARGEST >> 20} MiB, the most that is taken here: let a page download it, or request it without the browser`
        : `the answers that this session receives have more than ${MOST >> 20} MiB together: request fewer at once`,
    );
    return false;
  }
}

/** The codings that Playwright decodes. What they arrive as is not kept. */
const CODED = /^(?:x-gzip|gzip|br|deflate)$/i;

for (const module of [http, https]) {
  const { request } = module;
  module.request = function (...args) {
    const arriving = receiving.getStore();
    const onResponse = args.at(-1);
    if (!arriving || typeof onResponse !== 'function') return request.apply(this, args);
    return request.call(this, ...args.slice(0, -1), (response) => {
      if (!CODED.test(response.headers['content-encoding'] ?? '')) arriving.watch(response);
      return receiving.run(arriving, () => onResponse(response));
    });
  };
}
for (const name of ['createGunzip', 'createInflate', 'createBrotliDecompress']) {
  const create = zlib[name];
  const value = (...args) => {
    const stream = create(...args);
    receiving.getStore()?.watch(stream);
    return stream;
  };
  Object.defineProperty(zlib, name, { value, configurable: true, enumerable: true });
}

const bounded = new WeakSet();

/**
 * Bounds the requests of all contexts for them, once one is known: Playwright does not export what they are.
 *
 * @param {object} context one of Playwright's `APIRequestContext`
 * @returns {void}
 */
export function boundFetches(context) {
  let proto = context;
  while (!Object.hasOwn(proto, 'fetchResponseBody')) proto = Object.getPrototypeOf(proto);
  if (bounded.has(proto)) return;
  bounded.add(proto);
  const { fetch, fetchResponseBody, _disposeResponse: disposeResponse } = proto;
  proto.fetch = async function (...args) {
    const answers = answersOf(currentScope());
    if (!answers) return fetch.apply(this, args);
    const arriving = new Arriving(answers);
    try {
      const response = await receiving.run(arriving, () => fetch.apply(this, args));
      const { fetchResponses: bodies, fetchLog: logs } = this;
      const id = response.fetchUid;
      const size = (bodies.get(id)?.length ?? 0) + (logs.get(id) ?? []).reduce((sum, line) => sum + line.length, ANSWER);
      arriving.end();
      answers.keep(id, { bodies, logs, bytes: size });
      return response;
    } catch (error) {
      throw arriving.error ?? error;
    } finally {
      arriving.end();
    }
  };
  proto.fetchResponseBody = function (progress, id) {
    const body = fetchResponseBody.call(this, progress, id);
    if (body === undefined && answersOf(currentScope())?.wasDropped(id)) {
      throw new Error(`the body is gone: a session's answers may have ${MOST >> 20} MiB together, and later ones took its place; read it at once`);
    }
    return body;
  };
  proto._disposeResponse = function (id) {
    answersOf(currentScope())?.forget(id);
    return disposeResponse.call(this, id);
  };
}

/** All answers of a launch; null outside of any. */
function answersOf(scope) {
  if (!scope) return null;
  let answers = launches.get(scope);
  if (!answers) launches.set(scope, (answers = new Answers()));
  return answers;
}

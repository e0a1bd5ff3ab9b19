/**
 * Limits the HTTP requests that the driver sends for clients (`page.request`, `context.request`,
 * `route.fetch`): Playwright keeps the decompressed response bodies in this process until the client disposes
 * of them, which few do.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';
import https from 'node:https';
import zlib from 'node:zlib';
import { byEgress } from './egress.mjs';
import { currentScope } from './isolation.mjs';

/**
 * The maximum size of a response body, decompressed, in bytes; the client gets it as one message of 1.4 times
 * the size.
 */
const LARGEST = 64 << 20;
/**
 * The maximum total size of a session's responses, in bytes: one of the largest that arrives, and one that is
 * kept.
 */
const MOST = 128 << 20;
/** The overhead of a response besides its body and headers. */
const ANSWER = 1 << 10;
/** How many dropped responses are remembered as such. */
const MOST_DROPPED = 10_000;

/** The response that the current code receives. */
const receiving = new AsyncLocalStorage();

/** The responses of each launch. */
const launches = new WeakMap();

/** All responses of a session. */
class Answers {
  #bytes = 0;
  /** @type {Map<string, {bodies: Map, logs: Map, bytes: number}>} where each is kept, the oldest first */
  #kept = new Map();
  #dropped = new Set();

  /**
   * Makes room for arriving bytes by dropping the oldest responses.
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

/** A response that arrives. */
class Arriving {
  #answers;
  #bytes = 0;
  /** @type {Error|null} why it was aborted */
  error = null;

  constructor(answers) {
    this.#answers = answers;
  }

  /** Counts the bytes of a stream, and aborts it above the limit. */
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

  /** Stops counting: a complete body is counted with the kept ones. */
  end() {
    this.#answers.giveBack(this.#bytes);
    this.#bytes = 0;
  }

  #take(bytes) {
    this.#bytes += bytes;
    if (this.#answers.take(bytes) && this.#bytes <= LARGEST) return true;
    this.error ??= new Error(
      this.#bytes > LARGEST
        ? `the response body is larger than ${LARGEST >> 20} MiB, the maximum here: let a page download it, or request it without the browser`
        : `the responses that this session receives exceed ${MOST >> 20} MiB together: request fewer at once`,
    );
    return false;
  }
}

/** The content encodings that Playwright decodes. Their compressed form is not kept. */
const CODED = /^(?:x-gzip|gzip|br|deflate)$/i;

for (const module of [http, https]) {
  const { request } = module;
  module.request = function (...args) {
    const arriving = receiving.getStore();
    const [url, options, onResponse] = args;
    if (!arriving || typeof onResponse !== 'function') return request.apply(this, args);
    const { egress } = currentScope();
    return request.call(this, url, egress ? byEgress(options, egress, module === https) : options, (response) => {
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
 * Limits the requests of all contexts, once the first context exists: Playwright does not export their class.
 *
 * @param {object} context one of Playwright's `APIRequestContext`
 * @returns {void}
 */
export function limitFetches(context) {
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
      throw new Error(`the body was dropped: a session's responses may have ${MOST >> 20} MiB together, and later ones took its place; read it at once`);
    }
    return body;
  };
  proto._disposeResponse = function (id) {
    answersOf(currentScope())?.forget(id);
    return disposeResponse.call(this, id);
  };
}

/** The responses of the current launch; null outside of any. */
function answersOf(scope) {
  if (!scope) return null;
  let answers = launches.get(scope);
  if (!answers) launches.set(scope, (answers = new Answers()));
  return answers;
}

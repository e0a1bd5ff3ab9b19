/**
 * Bounds what the clients of a session make this process keep for them: commands, calls and requests that wait for an
 * answer, and the answers of their own HTTP requests. Playwright itself keeps all of it for as long as it takes.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { currentScope } from './isolation.mjs';
import { boundFetches } from './fetches.mjs';

/** A sum of sizes that has a limit, in number and in bytes. */
class Holdings {
  #bytes = 0;
  #number = 0;
  #most;

  /** @param {{bytes: number, number: number}} most the limits */
  constructor(most) {
    this.#most = most;
  }

  /**
   * Adds something, unless it is too much. One thing alone fits, however large: what it comes with has a limit of its own.
   *
   * @param {number} bytes its size
   * @returns {(() => void)|null} takes it out again, once, however often it is called; null when it does not fit
   */
  add(bytes) {
    if (this.#number > 0 && (this.#number >= this.#most.number || this.#bytes + bytes > this.#most.bytes)) return null;
    this.#bytes += bytes;
    this.#number += 1;
    let there = true;
    return () => {
      if (!there) return;
      there = false;
      this.#bytes -= bytes;
      this.#number -= 1;
    };
  }
}

/** Commands of clients that are being carried out. Each holds what it came with; one may come with 100 MiB. */
const COMMANDS = { bytes: 128 << 20, number: 10_000 };
/** Calls of clients' functions by pages, which wait for the client. Each is held about three times. */
const CALLS = { bytes: 64 << 20, number: 1_000 };
/** Requests of pages that wait until a client says what becomes of them. */
const ROUTES = { bytes: 64 << 20, number: 1_000 };

/** Scripts that clients give to contexts and pages, which keep them for as long as the client has them. */
const SCRIPTS = { bytes: 64 << 20, number: 10_000 };
const GIVES_SCRIPT = new Set(['addInitScript', 'exposeBinding', 'registerSelectorEngine']);
/** What one recording of requests (HAR) keeps: how many entries, and how many characters of bodies that are part of them. */
const RECORDING = { entries: 10_000, bodies: 64 << 20 };
/** How many bytes a client may say of what it waits for, while it waits: it is for traces, and left out after that. */
const MOST_WAITS = 8 << 20;
/** What such a message takes beside its bytes. */
const WAIT = 1 << 10;

/** What is held for each launch. */
const launches = new WeakMap();

/** The size of the message from a client that is being worked on, in bytes. */
const arrivals = new AsyncLocalStorage();

/** The length of the call of a client's function that is being handed to it; there is no wait in between. */
let calling = 0;

/**
 * Emits an event of a client's socket such that the command in it knows how large it is.
 *
 * @template T
 * @param {unknown[]} event its name and arguments
 * @param {() => T} emit emits it
 * @returns {T} what that returns
 */
export function arriving([name, data], emit) {
  return name === 'message' ? arrivals.run(data.length ?? data.byteLength ?? 0, emit) : emit();
}

/** @returns {{commands: Holdings, calls: Holdings, routes: Holdings, scripts: Holdings}|null} what is held for the launch at work */
function holdings() {
  const scope = currentScope();
  if (!scope) return null;
  let held = launches.get(scope);
  if (!held) {
    held = Object.fromEntries(Object.entries({ commands: COMMANDS, calls: CALLS, routes: ROUTES, scripts: SCRIPTS }).map(([name, most]) => [name, new Holdings(most)]));
    launches.set(scope, held);
  }
  return held;
}

/**
 * Puts the bounds into Playwright's server.
 *
 * @param {object} core Playwright's bundle
 * @returns {void}
 */
export function boundHeld({ server: { DispatcherConnection, Page } }) {
  const { dispatch, registerDispatcher } = DispatcherConnection.prototype;
  DispatcherConnection.prototype.dispatch = async function (message) {
    const held = this._isInProcess ? null : holdings();
    if (!held) return dispatch.call(this, message);
    const size = arrivals.getStore() ?? 0;
    // It has no answer.
    if (message.method === '__waitInfo__') return fitsWaits(this, message, size) ? dispatch.call(this, message) : undefined;
    const refuse = (what, most, remedy) => {
      this.onmessage({ id: message.id, error: { error: { name: 'Error', message: `${message.method}: ${tooMuch(what, most)}; ${remedy}`, stack: '' } } });
    };
    const release = held.commands.add(size);
    if (!release) return refuse('commands of this session are being carried out', COMMANDS, 'wait for their answers');
    try {
      const owner = GIVES_SCRIPT.has(message.method) && this._dispatcherByGuid.get(message.guid);
      if (owner) {
        const forget = held.scripts.add(size);
        if (!forget) return refuse('scripts and functions are given to the pages of this session', SCRIPTS, 'close contexts that need them no more');
        whenDisposed(owner, forget);
      }
      return await dispatch.call(this, message);
    } finally {
      release();
    }
  };
  const { onBindingCalled } = Page.prototype;
  Page.prototype.onBindingCalled = function (payload, context) {
    calling = payload.length;
    return onBindingCalled.call(this, payload, context);
  };
  DispatcherConnection.prototype.registerDispatcher = function (dispatcher) {
    const held = this._isInProcess ? null : holdings();
    if (held) HELD[dispatcher._type]?.(dispatcher, held);
    return registerDispatcher.call(this, dispatcher);
  };
}

/** What is done with the objects of Playwright's protocol that hold something, when they are made. */
const HELD = {
  BindingCall(call, { calls }) {
    const release = calls.add(calling);
    // The page's call fails with this.
    if (!release) throw new Error(`${tooMuch('calls of this session wait for a client', CALLS)}; have them answered`);
    whenDisposed(call, release);
  },
  Route(dispatcher, { routes }) {
    const route = dispatcher._object;
    const request = route.request();
    const headers = request.headers().reduce((sum, { name, value }) => sum + name.length + value.length, 0);
    const release = routes.add(request.url().length + headers + (request.postDataBuffer()?.length ?? 0));
    if (!release) {
      // Not from within what hands it to the client, which takes this for a client that has no answer.
      setImmediate(() => route.abort('blockedbyclient').catch(() => {}));
      throw new Error(`${tooMuch('requests of this session wait for a client', ROUTES)}`);
    }
    whenDisposed(dispatcher, release);
    const checkNotHandled = dispatcher._checkNotHandled;
    dispatcher._checkNotHandled = function () {
      release();
      return checkNotHandled.call(this);
    };
  },
  Tracing: ({ _object }) => boundRecordings(_object),
  APIRequestContext: ({ _object }) => boundFetches(_object),
};

const bounded = new WeakSet();

/** Bounds the recordings of requests, once something that makes them is known: Playwright does not export what it is. */
function boundRecordings(tracing) {
  const proto = Object.getPrototypeOf(tracing);
  if (bounded.has(proto)) return;
  bounded.add(proto);
  const { harStart } = proto;
  proto.harStart = function (...args) {
    const id = harStart.apply(this, args);
    boundRecording(this.harRecorders.get(id));
    return id;
  };
}

/** Leaves out of a recording what comes after its limits: the bodies, and then the requests. */
function boundRecording(recorder) {
  const { onEntryStarted, onEntryFinished } = recorder;
  let entries = 0;
  let bodies = 0;
  recorder.onEntryStarted = function (entry) {
    entries += 1;
    if (entries <= RECORDING.entries) onEntryStarted.call(this, entry);
  };
  recorder.onEntryFinished = function (entry) {
    const { content } = entry.response;
    bodies += content.text?.length ?? 0;
    if (bodies > RECORDING.bodies && content.text !== undefined) {
      bodies -= content.text.length;
      delete content.text;
      delete content.encoding;
      content.comment = `left out: a recording has ${RECORDING.bodies >> 20} MiB of bodies`;
    }
    onEntryFinished.call(this, entry);
  };
}

/** Calls back when an object of the protocol goes: it was answered, or its page or client is gone. */
function whenDisposed(dispatcher, release) {
  const onDispose = dispatcher._onDispose;
  dispatcher._onDispose = function () {
    release();
    return onDispose.call(this);
  };
}

const waits = new WeakMap();

/** Whether what a client says of something that it waits for is still kept. */
function fitsWaits(connection, { params }, size) {
  const before = connection._waitOperations.size === 0 ? 0 : (waits.get(connection) ?? 0);
  const all = before + (params?.phase === 'after' ? 0 : size + WAIT);
  if (all > MOST_WAITS && params?.phase !== 'after') return false;
  waits.set(connection, all);
  return true;
}

function tooMuch(what, { bytes, number }) {
  return `too many ${what}: at most ${number}, with ${bytes >> 20} MiB together`;
}

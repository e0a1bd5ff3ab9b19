/**
 * Limits what this process holds for a session's clients: commands in progress, calls and requests that wait
 * for a client's answer, and HTTP responses. Playwright itself holds them without a limit.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { currentScope } from './isolation.mjs';
import { limitFetches } from './fetches.mjs';

/** A total that is limited by number and by bytes. */
class Holdings {
  #bytes = 0;
  #number = 0;
  #most;

  /** @param {{bytes: number, number: number}} most the limits */
  constructor(most) {
    this.#most = most;
  }

  /**
   * Adds something, unless it exceeds the limits. A single item always fits, because its own size is limited
   * elsewhere.
   *
   * @param {number} bytes its size
   * @returns {(() => void)|null} removes it again (idempotent); null when it does not fit
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

/** Commands in progress. Each holds its message, which may have 100 MiB. */
const COMMANDS = { bytes: 128 << 20, number: 10_000 };
/** Calls of clients' functions by pages, which wait for the client. Each is held about three times. */
const CALLS = { bytes: 64 << 20, number: 1_000 };
/** Requests of pages that wait for the client's route handler. */
const ROUTES = { bytes: 64 << 20, number: 1_000 };

/** Scripts that clients add to contexts and pages, which are kept as long as the client is connected. */
const SCRIPTS = { bytes: 64 << 20, number: 10_000 };
const GIVES_SCRIPT = new Set(['addInitScript', 'exposeBinding', 'registerSelectorEngine']);
/** The limits of a recording of requests (HAR): the number of entries, and the characters of bodies in them. */
const RECORDING = { entries: 10_000, bodies: 64 << 20 };
/**
 * The limit of the log messages that a client sends while it waits, in bytes; they are for traces, and
 * dropped above it.
 */
const MOST_WAITS = 8 << 20;
/** The overhead of such a message. */
const WAIT = 1 << 10;

/** What is held for each launch. */
const launches = new WeakMap();

/** The size of the client message that is being handled, in bytes. */
const arrivals = new AsyncLocalStorage();

/** The size of the call of a client's function that is being sent to the client; this happens synchronously. */
let calling = 0;

/**
 * Emits an event of a client's socket so that the handler of the command can read the message's size.
 *
 * @template T
 * @param {unknown[]} event its name and arguments
 * @param {() => T} emit emits it
 * @returns {T} what `emit` returns
 */
export function arriving([name, data], emit) {
  return name === 'message' ? arrivals.run(data.length ?? data.byteLength ?? 0, emit) : emit();
}

/**
 * @returns {{commands: Holdings, calls: Holdings, routes: Holdings, scripts: Holdings}|null} what is held for the current launch
 */
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
 * Installs the limits in Playwright's server.
 *
 * @param {object} core Playwright's bundle
 * @returns {void}
 */
export function limitHeld({ server: { DispatcherConnection, Page } }) {
  const { dispatch, registerDispatcher } = DispatcherConnection.prototype;
  DispatcherConnection.prototype.dispatch = async function (message) {
    const held = this._isInProcess ? null : holdings();
    if (!held) return dispatch.call(this, message);
    const size = arrivals.getStore() ?? 0;
    // This command has no answer.
    if (message.method === '__waitInfo__') return fitsWaits(this, message, size) ? dispatch.call(this, message) : undefined;
    const refuse = (what, most, remedy) => {
      this.onmessage({ id: message.id, error: { error: { name: 'Error', message: `${message.method}: ${limitExceeded(what, most)}; ${remedy}`, stack: '' } } });
    };
    const release = held.commands.add(size);
    if (!release) return refuse('commands of this session are in progress', COMMANDS, 'wait for their answers');
    try {
      const owner = GIVES_SCRIPT.has(message.method) && this._dispatcherByGuid.get(message.guid);
      if (owner) {
        const forget = held.scripts.add(size);
        if (!forget) return refuse('scripts and functions were added to the pages of this session', SCRIPTS, 'close contexts that no longer need them');
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

/** Handlers for new protocol objects that hold something, by type. */
const HELD = {
  BindingCall(call, { calls }) {
    const release = calls.add(calling);
    // The page's call fails with this error.
    if (!release) throw new Error(`${limitExceeded('calls of this session wait for a client', CALLS)}; answer them`);
    whenDisposed(call, release);
  },
  Route(dispatcher, { routes }) {
    const route = dispatcher._object;
    const request = route.request();
    const headers = request.headers().reduce((sum, { name, value }) => sum + name.length + value.length, 0);
    const release = routes.add(request.url().length + headers + (request.postDataBuffer()?.length ?? 0));
    if (!release) {
      // Not synchronously in the code that notifies the client, which would treat it as a client without an
      // answer.
      setImmediate(() => route.abort('blockedbyclient').catch(() => {}));
      throw new Error(`${limitExceeded('requests of this session wait for a client', ROUTES)}`);
    }
    whenDisposed(dispatcher, release);
    const checkNotHandled = dispatcher._checkNotHandled;
    dispatcher._checkNotHandled = function () {
      release();
      return checkNotHandled.call(this);
    };
  },
  Tracing: ({ _object }) => limitRecordings(_object),
  APIRequestContext: ({ _object }) => limitFetches(_object),
};

const bounded = new WeakSet();

/** Limits the recordings of requests once the first recorder exists: Playwright does not export its class. */
function limitRecordings(tracing) {
  const proto = Object.getPrototypeOf(tracing);
  if (bounded.has(proto)) return;
  bounded.add(proto);
  const { harStart } = proto;
  proto.harStart = function (...args) {
    const id = harStart.apply(this, args);
    limitRecording(this.harRecorders.get(id));
    return id;
  };
}

/** Drops what exceeds the limits of a recording: first bodies, then requests. */
function limitRecording(recorder) {
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

/** Calls back when a protocol object is disposed of: it was answered, or its page or client is gone. */
function whenDisposed(dispatcher, release) {
  const onDispose = dispatcher._onDispose;
  dispatcher._onDispose = function () {
    release();
    return onDispose.call(this);
  };
}

const waits = new WeakMap();

/** Whether a client's log messages about something it waits for are still kept. */
function fitsWaits(connection, { params }, size) {
  const before = connection._waitOperations.size === 0 ? 0 : (waits.get(connection) ?? 0);
  const all = before + (params?.phase === 'after' ? 0 : size + WAIT);
  if (all > MOST_WAITS && params?.phase !== 'after') return false;
  waits.set(connection, all);
  return true;
}

function limitExceeded(what, { bytes, number }) {
  return `too many ${what}: at most ${number}, with ${bytes >> 20} MiB together`;
}

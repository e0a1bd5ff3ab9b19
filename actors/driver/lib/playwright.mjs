/**
 * Access to Playwright's internals that its options don't cover: the browser behind a server, the WebSockets
 * of its clients, and the path of its video encoder. All of it is in this file, to be checked with each new
 * version of Playwright; the tests cover each part.
 */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { messageBounds } from './browserMessages.mjs';
import { refusalOf } from './clientCommands.mjs';
import { DefaultContext } from './defaultContext.mjs';
import { arriving, limitHeld } from './held.mjs';
import { limitIncoming } from './incoming.mjs';
import { currentScope, runInScope } from './isolation.mjs';
import { log } from './output.mjs';
import { defaultToWindow } from './viewport.mjs';

const require = createRequire(import.meta.url);
const core = require('playwright-core/lib/coreBundle');

/** How many bytes may be buffered for a client that reads nothing for `STALL_MS`. */
const CLIENT_BACKLOG = 32 << 20;
/** How many bytes may be buffered for a client at all. */
const CLIENT_BACKLOG_LIMIT = 128 << 20;
/** How long a client with a full buffer may read nothing, in milliseconds. */
const STALL_MS = 5_000;
/** Above how many buffered bytes for a browser its clients are no longer read. */
const BROWSER_BACKLOG = 32 << 20;
/** How long a client may take to answer a close, in milliseconds. */
const CLOSE_PATIENCE_MS = 2_000;
/** How often a full browser buffer is checked, in milliseconds. */
const RESUME_MS = 50;

const { PlaywrightServer } = core.remote;
const listen = PlaywrightServer.prototype.listen;
PlaywrightServer.prototype.listen = async function (...args) {
  const endpoint = await listen.apply(this, args);
  const scope = currentScope();
  scope?.onServer(new Served(scope, this._options.preLaunchedBrowser, this._wsServer._wsServer));
  return endpoint;
};

const { DispatcherConnection } = core.server;
const dispatch = DispatcherConnection.prototype.dispatch;
DispatcherConnection.prototype.dispatch = function (message) {
  // The driver's own client may do everything.
  const type = this._isInProcess ? undefined : this._dispatcherByGuid.get(message.guid)?._type;
  const refusal = type === undefined ? null : refusalOf(type, message);
  if (refusal === null) {
    if (type !== undefined && currentScope()?.windowIsViewport) defaultToWindow(type, message);
    return dispatch.call(this, message);
  }
  this.onmessage({ id: message.id, error: { error: { name: 'Error', message: refusal, stack: '' } } });
  return Promise.resolve();
};

const register = DispatcherConnection.prototype.registerDispatcher;
DispatcherConnection.prototype.registerDispatcher = function (dispatcher) {
  register.call(this, dispatcher);
  const served = dispatcher._type === 'BrowserContext' ? currentScope()?.served() : null;
  if (!served) return;
  const close = dispatcher.close;
  dispatcher.close = (...args) => served.defaultContext.closeFor(dispatcher, () => close.apply(dispatcher, args));
};

limitHeld(core);

/** A browser behind a Playwright server, with its connections to clients and to the browser. */
export class Served {
  #browser;
  #sockets;

  /** The context that its clients find. */
  defaultContext;

  constructor(scope, browser, sockets) {
    this.#browser = browser;
    this.#sockets = sockets;
    this.defaultContext = new DefaultContext(browser, core.server.nullProgress);
    sockets.on('connection', (socket) => {
      // Node delivers connections outside of the scope in which the server was created.
      const emit = socket.emit;
      socket.emit = (...args) => runInScope(scope, () => arriving(args, () => emit.apply(socket, args)));
      limitBacklog(socket);
      limitIncoming(socket, sockets.clients);
      this.#pauseClient(socket);
    });
    const transport = browser._connection._transport;
    const onmessage = transport.onmessage;
    const bounded = messageBounds();
    transport.onmessage = (message) => runInScope(scope, () => onmessage.call(null, bounded(message)));
  }

  /**
   * Sends a command to the browser's main process.
   *
   * @returns {Promise<void>} once it has answered; never resolves when the browser hangs
   * @throws {Error} when it is gone
   */
  async answers() {
    const browser = this.#browser;
    // WebDriver BiDi of a stock Firefox, or Juggler, Camoufox' protocol.
    if (browser._browserSession) await browser._browserSession.send('session.status', {});
    else await browser.session.send('Browser.getInfo');
  }

  /**
   * Disconnects all clients.
   *
   * @param {string} reason at most 123 bytes, for the clients' logs
   * @returns {Promise<void>} when they are closed; what the clients set up in the browser ends with them
   */
  async disconnectClients(reason) {
    const closed = [...this.#sockets.clients].map(async (socket) => {
      const closing = once(socket, 'close');
      // 1008, "policy violation" (RFC 6455, section 7.4.1).
      socket.close(1008, reason);
      const patience = setTimeout(() => socket.terminate(), CLOSE_PATIENCE_MS);
      await closing;
      clearTimeout(patience);
    });
    await Promise.allSettled(closed);
  }

  /** @returns {number} how many bytes are buffered for the browser */
  get #backlog() {
    const transport = this.#browser._connection._transport;
    return transport._ws?.bufferedAmount ?? transport._pipeWrite?.writableLength ?? 0;
  }

  /** Pauses a client while the browser does not read its commands, which would accumulate in this process. */
  #pauseClient(socket) {
    let waiting = null;
    socket.on('message', () => {
      if (waiting || this.#backlog < BROWSER_BACKLOG) return;
      socket.pause();
      waiting = setInterval(() => {
        if (this.#backlog >= BROWSER_BACKLOG / 2 && socket.readyState === socket.OPEN) return;
        clearInterval(waiting);
        waiting = null;
        socket.resume();
      }, RESUME_MS);
    });
  }
}

/** Disconnects a client that does not read; the events of its pages would accumulate in this process. */
function limitBacklog(socket) {
  const send = socket.send;
  let stalled = null;
  socket.send = function (...args) {
    const waiting = socket.bufferedAmount;
    if (waiting > CLIENT_BACKLOG) {
      const taken = bytesTaken(socket);
      if (stalled?.taken !== taken) stalled = { taken, since: performance.now() };
      if (waiting > CLIENT_BACKLOG_LIMIT || performance.now() - stalled.since > STALL_MS) {
        log(`a client that does not read was disconnected: ${waiting >> 20} MiB were buffered for it`);
        socket.terminate();
        return undefined;
      }
    } else {
      stalled = null;
    }
    return send.apply(this, args);
  };
}

/** How many bytes the kernel has accepted for a client. */
function bytesTaken(socket) {
  const handle = socket._socket?._handle;
  return handle ? handle.bytesWritten - handle.writeQueueSize : 0;
}

/**
 * Makes Playwright record videos with this encoder instead of the one that it would download.
 *
 * @param {string} ffmpeg the path of an ffmpeg with libvpx
 */
export function recordVideosWith(ffmpeg) {
  const entry = core.registry.registry.findExecutable('ffmpeg');
  entry.executablePath = () => ffmpeg;
  entry.executablePathOrDie = () => ffmpeg;
}

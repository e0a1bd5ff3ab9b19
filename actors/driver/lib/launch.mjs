/** One launched browser: its Playwright server, its processes, and what it tells camofleet. */
import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { firefox } from 'playwright-core';
import { camoufoxOptions } from './camoufox.mjs';
import { describeLaunchFailure } from './errors.mjs';
import { stockFirefoxOptions, prepareProfile, profileOf, temporaryDirectory } from './firefox.mjs';
import { killGroup, killRemains, runInScope } from './isolation.mjs';
import { log } from './output.mjs';
import { newMatching } from './patterns.mjs';
import { browserVersion } from './pages.mjs';
import { shareStartupCaches } from './startupCaches.mjs';
import { cutBytes, cutLines } from './text.mjs';
import { boundEncoder, isEncoder, watchEncoder } from './video.mjs';

const MOST_OUTPUT_LINES = 40;

/** How many bytes of a line that a process prints are read. Playwright keeps the last lines of a browser. */
const LONGEST_LINE = 8 << 10;

/** How long the end of a browser may wait for Playwright to remove its profile, in milliseconds. */
const CLEANUP_PATIENCE_MS = 1000;

/** The time of a launch is up. */
class TooSlow extends Error {}

/** Why a launch came to nothing, in one line; `timedOut` when its time was up. */
class LaunchFailure extends Error {
  constructor(message, cause) {
    super(message, { cause });
    this.timedOut = cause instanceof TooSlow;
  }
}

/** How many patterns of its clients may take too long before the browser is ended. Each costs a third of a second. */
const MOST_SLOW_PATTERNS = 3;

/** The longest reason that a WebSocket's close frame holds, in bytes. */
const LONGEST_REASON = 123;

/** A browser from the command that asks for it to the end of its process. */
export class Launch {
  /** @type {'launching'|'ready'|'gone'} */
  #state = 'launching';
  /** Whether somebody asked for its end. */
  #closing = false;
  /** Whether any process of it that still appears is to be killed at once. */
  #doomed = false;
  #output = [];
  /** @type {{code: number|null, signal: string|null}|null} */
  #exited = null;
  #reportExit;
  #exit = new Promise((resolve) => (this.#reportExit = resolve));
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #children = new Set();
  /** @type {import('node:child_process').ChildProcess|null} */
  #main = null;
  #server = null;
  /** @type {import('./playwright.mjs').Served|null} */
  #served = null;
  /** The question to the browser that it has not answered yet. */
  #asked = null;
  #matching = newMatching();
  #encoders = new Set();
  #siblings;

  /**
   * Why the driver itself ended the browser.
   *
   * @type {string|null}
   */
  ownReason = null;

  /**
   * The directory of its profile, from the moment that its process is about to start.
   *
   * @type {string|null}
   */
  profile = null;

  /**
   * @param {string} id camofleet's id of this launch
   * @param {object} options the checked options of its launch command
   * @param {() => Iterable<Launch>} siblings the launches that there are when this one starts its process
   */
  constructor(id, options, siblings) {
    this.id = id;
    this.options = options;
    this.#siblings = siblings;
  }

  /** @returns {string|null} the server's `ws://` address while the browser is ready, else null */
  get endpoint() {
    return this.#state === 'ready' ? this.#server.wsEndpoint() : null;
  }

  /** @returns {boolean} whether somebody asked for this browser's end */
  get closing() {
    return this.#closing;
  }

  /**
   * Starts the browser and its server.
   *
   * @returns {Promise<{endpoint: string, pid: number, version: string}>} once clients may attach
   * @throws {Error} with a readable one-line message, once nothing of the launch runs any more
   */
  async start() {
    const deadline = new AbortController();
    try {
      assertExecutable(this.options.executable);
      const starting = this.#bringUp();
      const version = await Promise.race([starting, this.#timeOut(deadline.signal)]);
      if (this.#doomed || this.#exited) throw new Error('the browser ended while it started');
      this.#state = 'ready';
      return { endpoint: this.#server.wsEndpoint(), pid: this.#main.pid, version };
    } catch (error) {
      // A browser that is killed below did not end by itself.
      const ownEnd = this.#exited;
      this.#doomed = true;
      this.kill();
      if (this.#main) await this.#ended();
      this.#state = 'gone';
      throw new LaunchFailure(this.#closing ? 'closed before it was ready' : this.#explain(error, ownEnd), error);
    } finally {
      deadline.abort();
    }
  }

  /** Starts process and server, and asks for the version as a first client would. */
  async #bringUp() {
    const scope = {
      temporaryDirectory: temporaryDirectory(this.options.directory),
      beforeSpawn: (command, args) => this.#beforeSpawn(command, args),
      adopt: (command, child) => this.#adopt(command, child),
      onServer: (served) => (this.#served = served),
      onSlowPattern: (pattern) => this.#onSlowPattern(pattern),
      matching: this.#matching,
    };
    fs.mkdirSync(scope.temporaryDirectory, { recursive: true, mode: 0o700 });
    const camoufox = this.options.engine === 'camoufox';
    this.#server = await runInScope(scope, async () =>
      firefox.launchServer({
        ...(camoufox ? await camoufoxOptions(this.options) : stockFirefoxOptions(this.options)),
        host: '127.0.0.1',
        port: 0,
        _sharedBrowser: true,
        // The driver ends its browsers itself; Playwright's handlers would close them politely and late.
        handleSIGINT: false,
        handleSIGTERM: false,
        handleSIGHUP: false,
      }),
    );
    return browserVersion(this.#server.wsEndpoint(), this.options.timeout_ms);
  }

  /**
   * Asks the browser for an answer.
   *
   * @param {number} timeout how long it may take, in milliseconds
   * @returns {Promise<void>} once it has answered
   * @throws {Error} when it does not in time, or is not ready
   */
  async check(timeout) {
    if (this.#state !== 'ready') throw new Error('the browser is not ready');
    // One that hangs has one question to answer, however often it is asked.
    this.#asked ??= this.#served.answers().finally(() => (this.#asked = null));
    const deadline = new AbortController();
    try {
      await Promise.race([
        this.#asked,
        delay(timeout, null, { signal: deadline.signal }).then(() => {
          throw new Error(`the browser did not answer within ${timeout} ms`);
        }),
      ]);
    } finally {
      deadline.abort();
    }
  }

  /** A client's pattern took too long, and all sessions of this driver waited for it. */
  async #onSlowPattern(pattern) {
    const reason = `a client's pattern took too long to match, give a simpler one: ${pattern}`;
    log(`launch ${this.id}: ${reason}`);
    if (this.#matching.condemned.size >= MOST_SLOW_PATTERNS) {
      this.ownReason ??= reason;
      this.kill();
    }
    await this.#served?.disconnectClients(cutBytes(reason, LONGEST_REASON));
    this.#matching.closed = false;
  }

  /** Fails when the launch's time is up: `launchServer` itself takes a timeout and does not keep it. */
  async #timeOut(signal) {
    const timeout = this.options.timeout_ms;
    await delay(timeout, null, { signal });
    throw new TooSlow(`it was not ready within ${timeout} ms`);
  }

  /**
   * Waits for the end of a browser that was ready.
   *
   * @returns {Promise<{code: number|null, signal: string|null}>} how its process ended, once it is reaped and
   *   Playwright has stopped touching its directory
   */
  async ended() {
    const exit = await this.#ended();
    this.#state = 'gone';
    return exit;
  }

  /** Asks for the browser's end: now, and if it is only just starting, as soon as it exists. */
  close() {
    this.#closing = true;
    this.#doomed = true;
    this.kill();
  }

  /** Kills every process of this launch at once. Harmless when none runs. */
  kill() {
    for (const child of this.#children) killGroup(child.pid);
  }

  async #ended() {
    const exit = await this.#exit;
    await Promise.race([this.#server?.kill().catch(() => {}), delay(CLEANUP_PATIENCE_MS, null, { ref: false })]);
    return exit;
  }

  #beforeSpawn(command, args) {
    if (isEncoder(command)) return boundEncoder(args, this.#encoders.size);
    if (!this.#main) this.#beforeBrowser(args);
    return args;
  }

  #beforeBrowser(args) {
    const profile = profileOf(args);
    if (!profile) return;
    // Camoufox has a build and a start of its own.
    const { engine, executable } = this.options;
    if (engine === 'firefox') shareStartupCaches(profile, this.#profilesOf(executable));
    this.profile = profile;
    try {
      prepareProfile(profile, this.options);
    } catch (error) {
      log(`launch ${this.id}: its windows will not fit the display: ${error.message}`);
    }
  }

  #profilesOf(executable) {
    return [...this.#siblings()].filter(({ options, profile }) => profile && options.executable === executable).map(({ profile }) => profile);
  }

  /** Takes charge of a child process. The first is the browser; clients may later start a video encoder. */
  #adopt(command, child) {
    // Without a process id the spawn failed, and Playwright reports why.
    if (!child.pid) return;
    for (const stream of [child.stdout, child.stderr]) if (stream) cutLines(stream, LONGEST_LINE);
    this.#children.add(child);
    const isMain = !this.#main;
    if (isMain) this.#watchMain(child);
    else if (isEncoder(command)) {
      this.#encoders.add(child);
      watchEncoder(child, () => killGroup(child.pid));
    }
    child.once('exit', (code, signal) => {
      this.#children.delete(child);
      this.#encoders.delete(child);
      if (!isMain) return;
      // What the browser started must not outlive it, and it can't end by itself once its leader is gone.
      killRemains(child.pid);
      this.#exited = { code, signal };
      this.#reportExit(this.#exited);
    });
    if (this.#doomed) killGroup(child.pid);
  }

  /** Keeps the last lines that the browser prints while it starts: they tell why it failed. */
  #watchMain(child) {
    this.#main = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        if (this.#state !== 'launching') return;
        this.#output.push(...chunk.toString().split('\n').filter(Boolean));
        this.#output.splice(0, this.#output.length - MOST_OUTPUT_LINES);
      });
    }
  }

  #explain(error, ownEnd) {
    return describeLaunchFailure(error, { executable: this.options.executable, exit: ownEnd, output: this.#output });
  }
}

/** Says what is wrong with an executable before any process is started for it. */
function assertExecutable(executable) {
  try {
    fs.accessSync(executable, fs.constants.X_OK);
  } catch (error) {
    const what = error.code === 'ENOENT' ? 'does not exist' : `can't be executed (${error.code})`;
    throw new Error(`${executable} ${what}: install the browser or correct its path`, { cause: error });
  }
}

/** One launched browser: its Playwright server, its processes, and its events for camofleet. */
import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { firefox } from 'playwright-core';
import { camoufoxOptions } from './camoufox.mjs';
import { persistentOptions } from './defaultContext.mjs';
import { describeLaunchFailure } from './errors.mjs';
import { stockFirefoxOptions, prepareProfile, profileOf, temporaryDirectory } from './firefox.mjs';
import { killGroup, killRemaining, runInScope } from './isolation.mjs';
import { log } from './output.mjs';
import { newMatching } from './patterns.mjs';
import { browserVersion } from './pages.mjs';
import { SessionCookies } from './sessionCookies.mjs';
import { shareStartupCaches } from './startupCaches.mjs';
import { copyTlsOnly, forgetPreferences, restoreTlsOnly } from './userData.mjs';
import { truncateBytes, truncateLines } from './text.mjs';
import { limitEncoder, isEncoder, watchEncoder } from './video.mjs';

const MOST_OUTPUT_LINES = 40;

/** How many bytes of an output line are read. Playwright keeps the last lines of a browser. */
const LONGEST_LINE = 8 << 10;

/** How long the end of a browser may wait for Playwright to remove its profile, in milliseconds. */
const CLEANUP_PATIENCE_MS = 1000;

/** How long a browser that is to end may take to give its session cookies and close contexts, in milliseconds. */
const TIDY_PATIENCE_MS = 2_000;

/** The launch timed out. */
class TooSlow extends Error {}

/** Why a launch failed, in one line; `timedOut` if it took too long. */
class LaunchFailure extends Error {
  constructor(message, cause) {
    super(message, { cause });
    this.timedOut = cause instanceof TooSlow;
  }
}

/** How many slow patterns of its clients a browser survives. Each costs a third of a second. */
const MOST_SLOW_PATTERNS = 3;

/** The longest reason of a WebSocket close frame, in bytes. */
const LONGEST_REASON = 123;

/** A browser, from its launch command to the end of its process. */
export class Launch {
  /** @type {'launching'|'ready'|'gone'} */
  #state = 'launching';
  /** Whether its end was requested. */
  #closing = false;
  /** Whether further processes of it are to be killed at once. */
  #killNewProcesses = false;
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
  /** @type {SessionCookies|null} */
  #sessionCookies = null;
  /** The pending health check of the browser. */
  #asked = null;
  #matching = newMatching();
  #encoders = new Set();
  #siblings;

  /**
   * Why the driver ended the browser by itself.
   *
   * @type {string|null}
   */
  ownReason = null;

  /**
   * The directory of its profile, known just before its process starts.
   *
   * @type {string|null}
   */
  profile = null;

  /**
   * @param {string} id camofleet's id of this launch
   * @param {object} options the validated options of its launch command
   * @param {() => Iterable<Launch>} siblings the launches that exist when this one starts its process
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

  /** @returns {boolean} whether this browser's end was requested */
  get closing() {
    return this.#closing;
  }

  /**
   * Starts the browser and its server.
   *
   * @returns {Promise<{endpoint: string, pid: number, version: string}>} once clients may attach
   * @throws {Error} with a readable one-line message, once no process of the launch runs any more
   */
  async start() {
    const deadline = new AbortController();
    try {
      assertExecutable(this.options.executable);
      const starting = this.#bringUp();
      const version = await Promise.race([starting, this.#timeOut(deadline.signal)]);
      if (this.#killNewProcesses || this.#exited) throw new Error('the browser ended while it started');
      this.#state = 'ready';
      return { endpoint: this.#server.wsEndpoint(), pid: this.#main.pid, version };
    } catch (error) {
      // A browser that is killed below did not end by itself.
      const ownEnd = this.#exited;
      this.#killNewProcesses = true;
      this.kill();
      if (this.#main) await this.#ended();
      this.#state = 'gone';
      throw new LaunchFailure(this.#closing ? 'closed before it was ready' : this.#explain(error, ownEnd), error);
    } finally {
      deadline.abort();
    }
  }

  /** Starts process and server, and reads the version as a first client would. */
  async #bringUp() {
    const scope = {
      temporaryDirectory: temporaryDirectory(this.options.directory),
      egress: this.options.egress,
      windowIsViewport: this.options.window_is_viewport,
      beforeSpawn: (command, args) => this.#beforeSpawn(command, args),
      adopt: (command, child) => this.#adopt(command, child),
      onServer: (served) => (this.#served = served),
      served: () => this.#served,
      onSlowPattern: (pattern) => this.#onSlowPattern(pattern),
      matching: this.#matching,
    };
    fs.mkdirSync(scope.temporaryDirectory, { recursive: true, mode: 0o700 });
    const camoufox = this.options.engine === 'camoufox';
    const userData = this.options.user_data;
    this.#server = await runInScope(scope, () => {
      const options = camoufox ? camoufoxOptions(this.options) : stockFirefoxOptions(this.options);
      if (userData) {
        restoreTlsOnly(userData);
        forgetPreferences(userData, options.firefoxUserPrefs);
      }
      return firefox.launchServer({
        ...options,
        ...(userData ? persistentOptions(userData) : {}),
        host: '127.0.0.1',
        port: 0,
        _sharedBrowser: true,
        // The driver ends its browsers itself; Playwright's signal handlers would close them slowly.
        handleSIGINT: false,
        handleSIGTERM: false,
        handleSIGHUP: false,
      });
    });
    const version = await browserVersion(this.#server.wsEndpoint(), this.options.timeout_ms);
    await runInScope(scope, async () => {
      const { defaultContext } = this.#served;
      await defaultContext.provide();
      if (!userData) return;
      this.#sessionCookies = new SessionCookies(userData, defaultContext);
      await this.#sessionCookies.restore();
    });
    return version;
  }

  /**
   * Checks that the browser responds.
   *
   * @param {number} timeout in milliseconds
   * @returns {Promise<void>} once it has answered
   * @throws {Error} when it does not answer in time, or is not ready
   */
  async check(timeout) {
    if (this.#state !== 'ready') throw new Error('the browser is not ready');
    // A hanging browser has at most one pending check.
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

  /** A client's pattern took too long and delayed all sessions of this driver. */
  async #onSlowPattern(pattern) {
    const reason = `a client's pattern took too long to match, give a simpler one: ${pattern}`;
    log(`launch ${this.id}: ${reason}`);
    if (this.#matching.slow.size >= MOST_SLOW_PATTERNS) {
      this.ownReason ??= reason;
      this.kill();
    }
    await this.#served?.disconnectClients(truncateBytes(reason, LONGEST_REASON));
    this.#matching.closed = false;
  }

  /** Rejects when the launch times out: `launchServer` has a timeout but does not keep it. */
  async #timeOut(signal) {
    const timeout = this.options.timeout_ms;
    await delay(timeout, null, { signal });
    throw new TooSlow(`it was not ready within ${timeout} ms`);
  }

  /**
   * Waits for the end of a browser that was ready.
   *
   * @returns {Promise<{code: number|null, signal: string|null}>} how its process ended, once it is reaped and Playwright no longer uses its directory
   */
  async ended() {
    const exit = await this.#ended();
    this.#state = 'gone';
    return exit;
  }

  /**
   * Ends the browser at once, or as soon as it exists if it is still starting.
   *
   * @param {number|null} patience how long a browser that is ready may take to store its data and to end by itself, in
   * milliseconds; it is killed then. Null to kill it at once.
   */
  close(patience) {
    this.#closing = true;
    this.#killNewProcesses = true;
    if (!patience || this.#state !== 'ready') {
      this.kill();
      return;
    }
    const killing = setTimeout(() => this.kill(), patience);
    this.#exit.then(() => clearTimeout(killing));
    this.#storeAndEnd();
  }

  /** Asks the browser to end after it has stored everything. One that does not answer is killed. */
  async #storeAndEnd() {
    const { defaultContext } = this.#served;
    const tidied = Promise.all([this.#sessionCookies?.finish(), defaultContext.closeOthers()]);
    await Promise.race([tidied, delay(TIDY_PATIENCE_MS, null, { ref: false })]);
    this.#withUserData(copyTlsOnly);
    await this.#server.close().catch(() => {});
  }

  /** Does something with the stored user data, if the browser has some. */
  #withUserData(act) {
    try {
      if (this.options.user_data) act(this.options.user_data);
    } catch (error) {
      log(`launch ${this.id}: the user data is incomplete: ${error.message}`);
    }
  }

  /** Kills all processes of this launch. Harmless when there are none. */
  kill() {
    this.#sessionCookies?.stop();
    for (const child of this.#children) killGroup(child.pid);
  }

  async #ended() {
    const exit = await this.#exit;
    await Promise.race([this.#server?.kill().catch(() => {}), delay(CLEANUP_PATIENCE_MS, null, { ref: false })]);
    return exit;
  }

  #beforeSpawn(command, args) {
    if (isEncoder(command)) return limitEncoder(args, this.#encoders.size);
    if (!this.#main) this.#beforeBrowser(args);
    return args;
  }

  #beforeBrowser(args) {
    const profile = profileOf(args);
    if (!profile) return;
    // Camoufox has launch options of its own.
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

  /** Records a child process. The first is the browser; later ones may be video encoders. */
  #adopt(command, child) {
    // Without a process id the spawn failed, and Playwright reports why.
    if (!child.pid) return;
    for (const stream of [child.stdout, child.stderr]) if (stream) truncateLines(stream, LONGEST_LINE);
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
      // The browser's children must not outlive it, and don't end by themselves without their group's leader.
      killRemaining(child.pid);
      this.#sessionCookies?.stop();
      this.#withUserData(restoreTlsOnly);
      this.#exited = { code, signal };
      this.#reportExit(this.#exited);
    });
    if (this.#killNewProcesses) killGroup(child.pid);
  }

  /** Keeps the last output lines of the starting browser, which explain a failure. */
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

/** Checks an executable before a process is started for it. */
function assertExecutable(executable) {
  try {
    fs.accessSync(executable, fs.constants.X_OK);
  } catch (error) {
    const what = error.code === 'ENOENT' ? 'does not exist' : `can't be executed (${error.code})`;
    throw new Error(`${executable} ${what}: install the browser or correct its path`, { cause: error });
  }
}

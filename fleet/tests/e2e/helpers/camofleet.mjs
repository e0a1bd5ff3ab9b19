/** One process of the real binary, in any of its roles. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test as nodeTest } from 'node:test';
import { fileURLToPath } from 'node:url';
import { request } from './http.mjs';
import { parseMetrics } from './metrics.mjs';
import { displayFiles, marked, shown } from './processes.mjs';
import { Ranges } from './ranges.mjs';
import { until, within } from './wait.mjs';

const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));
const BINARY = process.env.CAMOFLEET_BIN ?? path.join(REPOSITORY, 'target/debug/camofleet');
const OUR_SETTINGS = /^(RUNNER|WORKER|CONTROL|GATEWAY|CAMOFLEET|VNC|CAMOU)_|^(HTTP_(HOST|PORT)|WS_(READ|WRITE)_TIMEOUT_MS|TCP_.*_MS|MAX_CONCURRENT_SESSIONS|SHUTDOWN_GRACE_MS|RUST_LOG)$/;
const LONGEST_LOG = 150;
/** How long a start may take at most. It takes less than a second unless the machine is busy. */
const START_MS = 30_000;

/** The prefix of each role's own address settings. */
export const PREFIXES = { serve: 'CONTROL', control: 'CONTROL', worker: 'WORKER', runner: 'RUNNER', gateway: 'HTTP' };

/** Running processes, whose logs are printed when a test fails. */
const running = new Set();

// Aborted tests must leave nothing running either; children die with their parent.
process.on('exit', () => {
  for (const camofleet of running) camofleet.kill('SIGKILL');
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, () => process.exit(1));

/** The environment of a process: this one's without any variables that camofleet reads. */
function environment(settings) {
  const inherited = Object.entries(process.env).filter(([name]) => !OUR_SETTINGS.test(name));
  const driver = process.env.RUNNER_DRIVER_DIR ?? path.join(REPOSITORY, 'actors/driver');
  return { ...Object.fromEntries(inherited), RUNNER_DRIVER_DIR: driver, RUNNER_ENGINE: 'firefox', ...settings };
}

/** A directory for one test, below the system's temporary one. Short, because socket paths are limited. */
export function temporaryDirectory() {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'e2e-'));
}

/** Starts the binary in a working directory without a `.env`. */
function launch(args, cwd, settings, wrapper = []) {
  const [program, ...before] = [...wrapper, BINARY];
  return spawn(program, [...before, ...args], { cwd, env: environment(settings), stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A camofleet process. */
export class Camofleet {
  /**
   * Starts a process and waits until it answers.
   *
   * @param {'serve'|'control'|'worker'|'runner'|'gateway'} role its role
   * @param {Record<string, string>} settings by their environment names; by default pools are off, it listens
   * on a free port of loopback, and has ranges of its own
   * @param {{healthy?: boolean, ranges?: Ranges, runBase?: string, directory?: string, wrapper?: string[]}}
   * options `healthy: false`: don't wait until it is healthy; `ranges`: its ranges, released with it;
   * `runBase`: share the run directory of another; `directory`: its working directory, removed with it;
   * `wrapper`: a program and its arguments that executes the binary
   * @returns {Promise<this>} the running process
   */
  static async start(role, settings = {}, { healthy = true, ...options } = {}) {
    const ranges = options.ranges ?? (await Ranges.claim());
    return new this(role, settings, { ...options, ranges }).up(healthy);
  }

  #child;
  #settings;
  #log = [];
  #output = '';
  #ended = null;
  #discarded = false;

  constructor(role, settings, { ranges, directory = temporaryDirectory(), runBase = path.join(directory, 'run'), wrapper }) {
    Object.assign(this, { role, ranges, directory, runBase, displays: ranges.displays, firstVncId: ranges.ids.first });
    this.#settings = {
      [`${PREFIXES[role]}_HOST`]: '127.0.0.1',
      [`${PREFIXES[role]}_PORT`]: '0',
      RUNNER_RUN_DIR: runBase,
      RUNNER_PROFILES_DIR: path.join(directory, 'profiles'),
      RUNNER_PREWARM_HEADLESS: '0',
      RUNNER_PREWARM_VNC: '0',
      // A lower resolution than the default, which is faster.
      RUNNER_VNC_RESOLUTION: '1024x768x24',
      ...ranges.settings(),
      ...settings,
    };
    this.#child = launch([role, '--log', 'debug'], directory, this.#settings, wrapper);
    this.pid = this.#child.pid;
    this.#child.stdout.on('data', (text) => (this.#output += text));
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.#log.push(line));
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => resolve((this.#ended = { code, signal })));
    });
    running.add(this);
  }

  /** Waits until it answers. */
  async up(healthy = true) {
    try {
      await until(() => this.#greeted() || this.#ended, `camofleet ${this.role} to be up`, START_MS);
      assert.equal(this.#ended, null, `camofleet ${this.role} ended at its start`);
      const isHealthy = async () => (await this.request('GET', '/health')).json.status === 'ok';
      if (healthy) await until(isHealthy, `camofleet ${this.role} to be healthy`, START_MS);
    } catch (error) {
      const text = `${error.message}\n${this.log()}`;
      this.discard();
      throw new Error(text, { cause: error });
    }
    return this;
  }

  #greeted() {
    const origin = /(?:Panel|API): (http:\/\/\S+)\//.exec(this.#output)?.[1];
    this.url = origin;
    this.wsUrl = origin?.replace('http', 'ws');
    return origin;
  }

  /** Starts a replacement for this killed process, on its port, its ranges, and its run directory. */
  again(settings = {}) {
    running.delete(this);
    // What there is belongs to the next one.
    this.#discarded = true;
    const port = { [`${PREFIXES[this.role]}_PORT`]: new URL(this.url).port };
    return new this.constructor(this.role, { ...this.#settings, ...port, ...settings }, this).up();
  }

  /** All lines of its log. */
  logLines() {
    return this.#log;
  }

  /** The lines of its log after the first `past` ones, without those of the tests' own requests. */
  log(past = 0) {
    return this.#log.slice(past).filter((line) => !/ GET \S+ 200 /.test(line)).slice(-LONGEST_LOG).join('\n');
  }

  /** Makes one request to it. */
  request(method, route, options) {
    return request(method, `${this.url}${route}`, options);
  }

  /** Makes a GET request, expects success, and returns the JSON. */
  async read(route) {
    const answer = await this.request('GET', route);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  }

  /** Creates a session and expects it to be READY. */
  async create(body = {}, options = {}) {
    const answer = await this.request('POST', '/sessions', { ...options, body });
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.json.status, 'READY');
    return answer.json;
  }

  /** The live sessions, or the ended ones. */
  sessions({ ended = false } = {}) {
    return this.read(`/sessions${ended ? '?ended=true' : ''}`);
  }

  /** The current state of a session. */
  session(session) {
    return this.read(pathOf(session));
  }

  /** Ends a session and expects success. */
  async end(session) {
    const answer = await this.request('DELETE', pathOf(session));
    assert.deepEqual([answer.status, answer.json], [200, { id: session.id, status: 'DEAD' }]);
  }

  /** Ends all sessions but one, so that a failed test does not disturb the next. */
  async endAllBut(spared) {
    for (const session of await this.sessions()) {
      if (session.id !== spared?.id) await this.request('DELETE', pathOf(session));
    }
  }

  /** Waits until a session matches. */
  sessionThat(session, condition, what, patience) {
    return until(
      async () => {
        const view = await this.session(session);
        return condition(view) && view;
      },
      `session ${session.id} to be ${what}`,
      patience,
    );
  }

  /** Waits for a session among the ended ones. */
  ended(session, patience) {
    return until(
      async () => (await this.sessions({ ended: true })).find(({ id }) => id === session.id),
      `session ${session.id} to have ended`,
      patience,
    );
  }

  /** Its metrics. */
  async metrics() {
    return parseMetrics((await this.request('GET', '/metrics')).text);
  }

  /** Sends a signal to camofleet. */
  kill(signal) {
    this.#child.kill(signal);
  }

  /** Waits for its end. */
  awaitEnd(patience = 15_000) {
    return within(this.exited, `camofleet ${this.role} to end`, patience);
  }

  /** Waits until none of its processes is left, zombies apart. */
  async nothingIsLeft(patience) {
    await until(() => marked(this.runBase).length === 0, 'all processes to be gone', patience).catch((error) => {
      throw new Error(`${error.message}:\n${shown(marked(this.runBase)).join('\n')}`, { cause: error });
    });
  }

  /** Stops it as an operator would, and expects that nothing of it is left. */
  async stop() {
    running.delete(this);
    try {
      if (!this.#ended) {
        this.kill('SIGTERM');
        const end = await this.awaitEnd();
        assert.deepEqual(end, { code: 0, signal: null }, `camofleet ${this.role} ended badly\n${this.log()}`);
      }
      await this.nothingIsLeft(3000);
      assert.deepEqual(displayFiles(this.displays), []);
    } finally {
      this.discard();
    }
  }

  /** Kills everything that is left of it. */
  discard() {
    running.delete(this);
    if (this.#discarded) return;
    this.#discarded = true;
    if (!this.#ended) this.kill('SIGKILL');
    for (const { pid } of marked(this.runBase)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just exited by itself.
      }
    }
    for (const file of displayFiles(this.displays)) fs.rmSync(file, { force: true });
    fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 10 });
    // From now on they may be another camofleet's.
    this.ranges.release();
  }
}

/** The path of a session: control's includes the worker. */
export function pathOf({ id, worker }) {
  return worker === undefined ? `/sessions/${id}` : `/sessions/${worker}/${id}`;
}

/**
 * Runs the binary to its end, for starts that should fail.
 *
 * @param {string[]} args its arguments
 * @param {Record<string, string>} settings environment variables
 * @param {number} patience the timeout, in milliseconds
 * @returns {Promise<{status: number|null, stdout: string, stderr: string}>} its exit status and output
 */
export async function run(args, settings = {}, patience = 10_000) {
  const directory = temporaryDirectory();
  const child = launch(args, directory, { RUNNER_RUN_DIR: path.join(directory, 'run'), CONTROL_PORT: '0', ...settings });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => (stdout += text));
  child.stderr.on('data', (text) => (stderr += text));
  try {
    const [status] = await within(once(child, 'close'), `camofleet ${args.join(' ')} to end`, patience);
    return { status, stdout, stderr };
  } finally {
    child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * A test that prints the logs of all running processes when it fails.
 *
 * @param {string} name the title
 * @param {(context: import('node:test').TestContext) => Promise<void>} body the test
 * @param {object} options those of `node:test`
 */
export function test(name, body, options = {}) {
  nodeTest(name, options, async (context) => {
    const past = new Map([...running].map((camofleet) => [camofleet, camofleet.logLines().length]));
    try {
      await body(context);
    } catch (error) {
      for (const camofleet of running) {
        console.error(`---- log of camofleet ${camofleet.role} ${camofleet.pid} at: ${name}\n${camofleet.log(past.get(camofleet))}\n----`);
      }
      throw error;
    }
  });
}

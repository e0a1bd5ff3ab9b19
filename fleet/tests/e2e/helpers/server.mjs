/** Runs the real binary: a whole `camofleet serve`, with ranges and directories of its own. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test as nodeTest } from 'node:test';
import { fileURLToPath } from 'node:url';
import { request } from './http.mjs';
import { parseMetrics } from './metrics.mjs';
import { browsers, displayFiles, marked, shown, xServers } from './processes.mjs';
import { until, within } from './wait.mjs';

const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));
const BINARY = process.env.CAMOFLEET_BIN ?? path.join(REPOSITORY, 'target/release/camofleet');
const OUR_SETTINGS = /^(RUNNER|WORKER|CONTROL|GATEWAY|CAMOFLEET|VNC|CAMOU)_|^(HTTP_PORT|WS_(READ|WRITE)_TIMEOUT_MS|TCP_.*_MS|MAX_CONCURRENT_SESSIONS|SHUTDOWN_GRACE_MS|RUST_LOG)$/;
/** How many slots a server gets unless a test says otherwise. */
const SLOTS = 12;
const LONGEST_LOG = 150;

/** Servers that were not stopped yet, for a failing test to show their logs. */
const running = new Set();

// Tests that are broken off leave nothing running either; what a server has started goes with it.
process.on('exit', () => {
  for (const server of running) server.kill('SIGKILL');
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, () => process.exit(1));

/** Each server has a block of displays, ports and ids of its own, held by a listener on the block's port. */
const BLOCKS = 500;
const BLOCK_SIZE = 20;
const BLOCK_PORTS = 31_000;

/** Takes a block that no other server has, of this process or another. */
async function claimBlock() {
  const first = randomInt(BLOCKS);
  for (let attempt = 0; attempt < BLOCKS; attempt += 1) {
    const block = (first + attempt) % BLOCKS;
    const claim = net.createServer().listen(BLOCK_PORTS + block, '127.0.0.1').unref();
    const taken = await Promise.race([once(claim, 'listening').then(() => false), once(claim, 'error').then(() => true)]).catch(() => true);
    if (!taken) return { claim, offset: block * BLOCK_SIZE };
  }
  throw new Error('there is no block of ports left');
}

/** The environment of a server: this process' own without anything that camofleet would read. */
function environment(settings) {
  const inherited = Object.entries(process.env).filter(([name]) => !OUR_SETTINGS.test(name));
  const driver = process.env.RUNNER_DRIVER_DIR ?? path.join(REPOSITORY, 'actors/driver');
  return { ...Object.fromEntries(inherited), RUNNER_DRIVER_DIR: driver, ...settings };
}

/** A directory for one test, below the system's temporary one. Short, for sockets have to fit in it. */
export function temporaryDirectory() {
  return fs.mkdtempSync(path.join(os.tmpdir(), 'e2e-'));
}

/** One `camofleet serve`. */
export class Server {
  #log = [];

  /**
   * Starts a server and waits until it answers.
   *
   * @param {Record<string, string>} settings by their environment names; pools are off unless they are set here
   * @param {{runBase?: string, slots?: number, healthy?: boolean}} options `runBase`: share the run directory of
   *   another server; `slots`: how many display slots it has; `healthy: false`: don't wait until its driver is up
   * @returns {Promise<Server>} the running server
   */
  static async start(settings = {}, options = {}) {
    const server = new Server(settings, options, await claimBlock());
    const greeting = until(() => server.#greeted() || server.#ended, 'camofleet to be up', 15_000);
    try {
      await greeting;
      assert.equal(server.#ended, null, 'camofleet ended at its start');
      const healthy = async () => (await server.request('GET', '/health')).json.status === 'ok';
      if (options.healthy !== false) await until(healthy, 'camofleet to be healthy', 15_000);
    } catch (error) {
      server.#child.kill('SIGKILL');
      throw new Error(`${error.message}\n${server.log()}`, { cause: error });
    }
    return server;
  }

  #child;
  #claim;
  #output = '';
  #ended = null;

  constructor(settings, { runBase, slots = SLOTS }, { claim, offset }) {
    this.#claim = claim;
    this.directory = temporaryDirectory();
    this.runBase = runBase ?? path.join(this.directory, 'run');
    const last = slots - 1;
    this.displays = { first: Number(settings.RUNNER_VNC_DISPLAY_MIN ?? 1000 + offset) };
    this.displays.last = this.displays.first + last;
    this.firstVncId = 40_000 + offset;
    this.firstVncPort = 20_000 + offset;
    const env = environment({
      CONTROL_PORT: '0',
      RUNNER_ENGINE: 'firefox',
      RUNNER_RUN_DIR: this.runBase,
      RUNNER_PREWARM_HEADLESS: '0',
      RUNNER_PREWARM_VNC: '0',
      // Drawn faster than the default, and quite enough to be looked at.
      RUNNER_VNC_RESOLUTION: '1024x768x24',
      RUNNER_VNC_DISPLAY_MIN: String(this.displays.first),
      RUNNER_VNC_DISPLAY_MAX: String(this.displays.last),
      RUNNER_VNC_PORT_MIN: String(this.firstVncPort),
      RUNNER_VNC_PORT_MAX: String(this.firstVncPort + last),
      RUNNER_VNC_WS_PORT_MIN: String(this.firstVncId),
      RUNNER_VNC_WS_PORT_MAX: String(this.firstVncId + last),
      ...settings,
    });
    // Its working directory has no `.env` in it.
    this.#child = spawn(BINARY, ['serve', '--log', 'debug'], { cwd: this.directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.pid = this.#child.pid;
    this.#child.stdout.on('data', (text) => (this.#output += text));
    this.#child.stderr.on('data', (text) => this.#log.push(...text.toString().split('\n').filter(Boolean)));
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => resolve((this.#ended = { code, signal })));
    });
    running.add(this);
  }

  #greeted() {
    const origin = /Panel: (http:\/\/\S+)\//.exec(this.#output)?.[1];
    this.url = origin;
    this.wsUrl = origin?.replace('http', 'ws');
    return origin;
  }

  /** All lines that it has logged. */
  logLines() {
    return this.#log;
  }

  /** The last lines that it has logged after the first `past` ones, without the tests' own questions. */
  log(past = 0) {
    return this.#log.slice(past).filter((line) => !/ GET \S+ 200 /.test(line)).slice(-LONGEST_LOG).join('\n');
  }

  /** Makes one request to it. */
  request(method, route, options) {
    return request(method, `${this.url}${route}`, options);
  }

  /** Creates a session and expects it to be READY. */
  async create(body = {}) {
    const answer = await this.request('POST', '/sessions', { body });
    assert.equal(answer.status, 201, answer.text);
    assert.equal(answer.json.status, 'READY');
    return answer.json;
  }

  /** The live sessions, or the ended ones. */
  async sessions({ ended = false } = {}) {
    return (await this.request('GET', `/sessions${ended ? '?ended=true' : ''}`)).json;
  }

  /**
   * Creates a session, and tells its browser's process. Without pools, and one at a time: the browser is the one
   * that was not there before.
   */
  async createKnown(body) {
    const before = new Set(browsers(this.runBase).map(({ pid }) => pid));
    const session = await this.create(body);
    const [browser, ...others] = browsers(this.runBase).filter(({ pid }) => !before.has(pid));
    assert.deepEqual(others, []);
    return { session, browser };
  }

  /** The X display of a session with a live view. */
  displayOf({ vnc }) {
    return this.displays.first + Number(vnc.http.split('/').at(-1)) - this.firstVncId;
  }

  /** The browser of a session with a live view, by the display that it is on. */
  browserOf(session) {
    const display = `:${this.displayOf(session)}`;
    return browsers(this.runBase).find(({ env }) => env.DISPLAY === display);
  }

  /** The X server of a session with a live view. */
  xServerOf(session) {
    const display = `:${this.displayOf(session)}`;
    return xServers(this.runBase).find(({ argv }) => argv.includes(display));
  }

  /** How many display slots are in use. */
  async usedSlots() {
    return (await this.metrics()).value('camofleet_slots', { state: 'used' });
  }

  /** A session as it is now. */
  async session({ id }) {
    const answer = await this.request('GET', `/sessions/local/${id}`);
    assert.equal(answer.status, 200, answer.text);
    return answer.json;
  }

  /** Ends a session and expects that to work. */
  async end({ id }) {
    const answer = await this.request('DELETE', `/sessions/local/${id}`);
    assert.deepEqual([answer.status, answer.json], [200, { id, status: 'DEAD' }]);
  }

  /** Ends all sessions but one, so that a test that failed does not disturb the next. */
  async endAllBut(spared) {
    for (const session of await this.sessions()) {
      if (session.id !== spared?.id) await this.request('DELETE', `/sessions/local/${session.id}`);
    }
  }

  /** Waits until a session is as wanted. */
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

  /** The checks of its one worker. */
  async checks() {
    return (await this.request('GET', '/health')).json.workers[0].detail.checks;
  }

  /** Its metrics. */
  async metrics() {
    return parseMetrics((await this.request('GET', '/metrics')).text);
  }

  /** Waits until the pools are as full as wanted. */
  async poolsFull(patience = 30_000) {
    await until(
      async () => {
        const checks = await this.checks();
        return ['pool_headless', 'pool_vnc'].every((name) => {
          const [, ready, target] = /^(\d+) of (\d+) ready$/.exec(checks[name]) ?? [null, checks[name], 'off'];
          return ready === target;
        });
      },
      'the pools to be full',
      patience,
    );
  }

  /** Sends a signal to camofleet itself. */
  kill(signal) {
    this.#child.kill(signal);
  }

  /** Waits for its end. */
  awaitEnd(patience = 15_000) {
    return within(this.exited, 'camofleet to end', patience);
  }

  /** Stops it as an operator would, and expects that nothing of it is left. */
  async stop() {
    running.delete(this);
    try {
      if (!this.#ended) {
        this.kill('SIGTERM');
        const end = await this.awaitEnd();
        assert.deepEqual(end, { code: 0, signal: null }, `camofleet ended badly\n${this.log()}`);
      }
      await until(() => marked(this.runBase).length === 0, 'all processes to be gone', 3000).catch((error) => {
        throw new Error(`${error.message}: ${shown(marked(this.runBase)).join('\n')}`, { cause: error });
      });
      assert.deepEqual(displayFiles(this.displays), []);
    } finally {
      this.discard();
    }
  }

  /** Ends whatever is left of it, without a question asked. */
  discard() {
    running.delete(this);
    this.#claim.close();
    if (!this.#ended) this.kill('SIGKILL');
    for (const { pid } of marked(this.runBase)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended by itself.
      }
    }
    for (const file of displayFiles(this.displays)) fs.rmSync(file, { force: true });
    fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

/**
 * Runs the binary to its end, for starts that are expected to fail.
 *
 * @param {string[]} args its arguments
 * @param {Record<string, string>} settings environment variables
 * @returns {Promise<{status: number|null, stdout: string, stderr: string}>} how it ended and what it wrote
 */
export async function run(args, settings = {}) {
  const directory = temporaryDirectory();
  const env = environment({ RUNNER_ENGINE: 'firefox', RUNNER_RUN_DIR: path.join(directory, 'run'), CONTROL_PORT: '0', ...settings });
  const child = spawn(BINARY, args, { cwd: directory, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => (stdout += text));
  child.stderr.on('data', (text) => (stderr += text));
  try {
    const ended = new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
    const status = await within(ended, `camofleet ${args.join(' ')} to end`, 10_000);
    return { status, stdout, stderr };
  } finally {
    child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * A test that shows what all running servers logged meanwhile when it fails.
 *
 * @param {string} name a sentence
 * @param {(context: import('node:test').TestContext) => Promise<void>} body the test
 * @param {object} options as `node:test` takes them
 */
export function test(name, body, options = {}) {
  nodeTest(name, options, async (context) => {
    const past = new Map([...running].map((server) => [server, server.logLines().length]));
    try {
      await body(context);
    } catch (error) {
      for (const server of running) console.error(`---- log of camofleet ${server.pid} at: ${name}\n${server.log(past.get(server))}\n----`);
      throw error;
    }
  });
}

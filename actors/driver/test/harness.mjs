/** Runs a real driver process for the tests, and checks what it leaves behind. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The stock Firefox for the tests. */
export const FIREFOX = process.env.TEST_FIREFOX ?? '/usr/bin/firefox-esr';

const DRIVER = fileURLToPath(new URL('../driver.mjs', import.meta.url));
const PATIENCE_MS = 30_000;

/** A driver process with its own directories. */
export class TestDriver {
  events = [];
  stderr = '';
  #waiting = new Set();

  /** @param {Record<string, string>} env added to the driver's environment */
  constructor(env = {}) {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'camofleet-driver-test-'));
    this.systemTmp = path.join(this.directory, 'system-tmp');
    fs.mkdirSync(this.systemTmp);
    this.process = spawn(process.execPath, [DRIVER], {
      stdio: 'pipe',
      env: { ...process.env, TMPDIR: this.systemTmp, ...env },
    });
    this.exited = new Promise((resolve) => this.process.once('exit', (code, signal) => resolve({ code, signal })));
    this.process.stdin.on('error', () => {});
    this.process.stderr.on('data', (chunk) => (this.stderr += chunk));
    createInterface({ input: this.process.stdout }).on('line', (line) => {
      this.events.push(JSON.parse(line));
      for (const check of this.#waiting) check();
    });
  }

  /** Sends one command. */
  send(command) {
    this.process.stdin.write(`${typeof command === 'string' ? command : JSON.stringify(command)}\n`);
  }

  /**
   * Waits for the first event, past or future, of a type and with the given fields.
   *
   * @param {string|RegExp} type the event's type, or a pattern of types
   * @param {object} fields other fields it must have
   * @param {number} since how many past events to skip
   * @returns {Promise<object>} the event
   * @throws {Error} when none arrives within half a minute
   */
  event(type, fields = {}, since = 0) {
    const isType = (name) => (type instanceof RegExp ? type.test(name) : type === name);
    const matches = (event) => isType(event.type) && Object.entries(fields).every(([key, value]) => event[key] === value);
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.events.slice(since).find(matches);
        if (!found) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve(found);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`no ${type} ${JSON.stringify(fields)} among ${JSON.stringify(this.events)}\n${this.stderr}`));
      }, PATIENCE_MS);
      this.#waiting.add(check);
      check();
    });
  }

  /** The directory of a launch. */
  directoryOf(id) {
    return path.join(this.directory, id);
  }

  /** Sends a launch command; `options` override the defaults of a headless stock Firefox. */
  launch(id, options = {}) {
    this.send({
      type: 'launch',
      id,
      options: {
        engine: 'firefox',
        executable: FIREFOX,
        version: null,
        headless: true,
        directory: this.directoryOf(id),
        env: { PATH: process.env.PATH, HOME: process.env.HOME, LANG: 'C.UTF-8' },
        preferences: {},
        block_webrtc: true,
        window: null,
        timeout_ms: PATIENCE_MS,
        ...options,
      },
    });
  }

  /** Launches and waits until the browser is ready. */
  async launched(id, options) {
    const past = this.events.length;
    this.launch(id, options);
    const outcome = await this.event(/^(ready|launch_failed)$/, { id }, past);
    if (outcome.type !== 'ready') throw new Error(outcome.error);
    return outcome;
  }

  /** Sends a command that is answered by `done`, and waits for the answer. */
  done(command) {
    const request = `request-${this.events.length}-${command.type}`;
    this.send({ ...command, request });
    return this.event('done', { request });
  }

  /** Ends the driver (its browsers end with it) and removes its directories. */
  async stop() {
    this.process.stdin.end();
    const timer = setTimeout(() => this.process.kill('SIGKILL'), 5000);
    await this.exited;
    clearTimeout(timer);
    fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

/**
 * Runs a test with a driver that is always stopped afterwards.
 *
 * @param {(driver: TestDriver, context: object) => Promise<void>} body the test
 * @param {Record<string, string>} env added to the driver's environment
 * @returns {(context: object) => Promise<void>} a function for `test`
 */
export function withDriver(body, env) {
  return async (context) => {
    const driver = new TestDriver(env);
    try {
      await body(driver, context);
    } finally {
      await driver.stop();
    }
  };
}

/** Writes an executable file and returns its path. */
export function writeExecutable(file, text) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text, { mode: 0o755 });
  return file;
}

/** Writes a "browser" that never becomes ready: it starts a child, prints both process ids, and waits. */
export function writeSleeper(file, pidFile) {
  return writeExecutable(file, `#!/bin/sh\nsleep 600 &\necho "$$ $!" > "${pidFile}.new"\nmv "${pidFile}.new" "${pidFile}"\nwait\n`);
}

/** Whether a process runs; a zombie that is not reaped yet does not. */
export function isAlive(pid) {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** The running processes of a process group. */
export function groupMembers(leader) {
  return fs.readdirSync('/proc').filter((entry) => {
    if (!/^\d+$/.test(entry) || !isAlive(entry)) return false;
    try {
      const stat = fs.readFileSync(`/proc/${entry}/stat`, 'utf8');
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]) === leader;
    } catch {
      return false;
    }
  });
}

/**
 * Polls a condition that no event announces.
 *
 * @throws {Error} when it does not become true within the time, in milliseconds
 */
export async function until(condition, what, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`still waiting for ${what}`);
    await delay(10);
  }
}

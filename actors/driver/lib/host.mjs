/** Executes camofleet's commands on the browsers of this driver. */
import { InvalidCommand, parseCommand } from './commands.mjs';
import { describe } from './errors.mjs';
import { Launch } from './launch.mjs';
import { send } from './output.mjs';
import { discardContexts, openPage, readCookies, writeCookies } from './pages.mjs';

/** The default timeout for connecting to a browser, in milliseconds. */
const ATTACH_TIMEOUT_MS = 10_000;

/** All browsers of one driver process, by camofleet's ids. */
export class Host {
  /** @type {Map<string, Launch>} */
  #launches = new Map();

  /**
   * Executes one line from camofleet. Errors become events; nothing is thrown.
   *
   * @param {string} line one JSON object
   * @returns {void}
   */
  execute(line) {
    let command;
    try {
      command = parseCommand(line);
    } catch (error) {
      if (!(error instanceof InvalidCommand)) throw error;
      send({ type: 'invalid', id: error.id, request: error.request, error: describe(error) });
      return;
    }
    switch (command.type) {
      case 'ping':
        send({ type: 'pong' });
        break;
      case 'check':
        this.#inScope(command, (_, launch) => launch.check(command.timeout_ms));
        break;
      case 'launch':
        this.#launch(command);
        break;
      case 'close':
        this.#close(command);
        break;
      case 'open':
        this.#inScope(command, (endpoint) => openPage(endpoint, { url: command.url, wait: command.wait, timeout: command.timeout_ms }));
        break;
      case 'discard_contexts':
        this.#inScope(command, (endpoint) => discardContexts(endpoint, ATTACH_TIMEOUT_MS));
        break;
      case 'read_cookies':
        this.#inScope(command, (endpoint) => readCookies(endpoint, command.file, ATTACH_TIMEOUT_MS));
        break;
      case 'write_cookies':
        this.#inScope(command, (endpoint) => writeCookies(endpoint, command.file, ATTACH_TIMEOUT_MS));
        break;
    }
  }

  /**
   * Kills every browser at once, also those that are still starting. Returns when the signals are sent.
   *
   * @returns {number} how many browsers there were
   */
  killAll() {
    for (const launch of this.#launches.values()) launch.kill();
    return this.#launches.size;
  }

  async #launch({ id, options }) {
    if (this.#launches.has(id)) {
      send({ type: 'invalid', id: null, request: null, error: `launch ${id} exists already: every launch needs its own id` });
      return;
    }
    const launch = new Launch(id, options, () => this.#launches.values());
    this.#launches.set(id, launch);
    try {
      const { endpoint, pid, version } = await launch.start();
      send({ type: 'ready', id, endpoint, pid, browser_version: version });
    } catch (error) {
      this.#launches.delete(id);
      send({ type: 'launch_failed', id, error: error.message, timed_out: error.timedOut === true });
      return;
    }
    const { code, signal } = await launch.ended();
    this.#launches.delete(id);
    send({ type: 'exited', id, code, signal, requested: launch.closing, reason: launch.ownReason });
  }

  #close({ id, patience_ms: patience }) {
    const launch = this.#launches.get(id);
    if (launch) launch.close(patience);
    else send({ type: 'exited', id, code: null, signal: null, requested: true, reason: 'unknown' });
  }

  async #inScope({ id, request }, work) {
    const launch = this.#launches.get(id);
    const endpoint = launch?.endpoint;
    let error = null;
    let refused = false;
    try {
      if (!endpoint) throw new Error(`no browser ${id} is ready here`);
      await work(endpoint, launch);
    } catch (caught) {
      error = describe(caught);
      refused = caught.refused === true;
    }
    send({ type: 'done', id, request, error, refused });
  }
}

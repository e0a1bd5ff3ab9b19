/** Runs the real binary as most people do: a whole `camofleet serve`, with its own ranges and directories. */
import assert from 'node:assert/strict';
import { Camofleet } from './camofleet.mjs';
import { browsers, xServers } from './processes.mjs';
import { Ranges } from './ranges.mjs';
import { until } from './wait.mjs';

export { run, temporaryDirectory, test } from './camofleet.mjs';

/** One `camofleet serve`. */
export class Server extends Camofleet {
  /**
   * Starts a server and waits until it answers.
   *
   * @param {Record<string, string>} settings by their environment names; pools are off by default
   * @param {{runBase?: string, slots?: number, healthy?: boolean}} options `runBase`: share the run directory
   * of another server; `slots`: the number of display slots; `healthy: false`: don't wait until its driver is
   * up
   * @returns {Promise<Server>} the running server
   */
  static async start(settings = {}, { slots, ...options } = {}) {
    const firstDisplay = settings.RUNNER_VNC_DISPLAY_MIN && Number(settings.RUNNER_VNC_DISPLAY_MIN);
    const ranges = await Ranges.claim({ slots, firstDisplay });
    return super.start('serve', settings, { ...options, ranges });
  }

  /**
   * Creates a session and finds its browser's process: without pools, and one at a time, it is the one that
   * was not there before.
   */
  async createKnown(body) {
    const before = new Set(browsers(this.runBase).map(({ pid }) => pid));
    const session = await this.create(body);
    const [browser, ...others] = browsers(this.runBase).filter(({ pid }) => !before.has(pid));
    assert.deepEqual(others, []);
    return { session, browser };
  }

  /** The X display of a session with a live view. */
  displayOf({ vnc_id: id }) {
    return this.displays.first + id - this.firstVncId;
  }

  /** The browser of a session with a live view, found by its display. */
  browserOf(session) {
    const display = `:${this.displayOf(session)}`;
    return browsers(this.runBase).find(({ env }) => env.DISPLAY === display);
  }

  /** The X server of a session with a live view. */
  xServerOf(session) {
    const display = `:${this.displayOf(session)}`;
    return xServers(this.runBase).find(({ argv }) => argv.includes(display));
  }

  /** The number of display slots in use. */
  async usedSlots() {
    return (await this.metrics()).value('camofleet_slots', { state: 'used' });
  }

  /** The checks of its one worker. */
  async checks() {
    return (await this.request('GET', '/health')).json.workers[0].detail.checks;
  }

  /** Waits until the pools have these fills. */
  async poolsFull(patience = 30_000) {
    await until(
      async () => {
        const checks = await this.checks();
        const pools = Object.keys(checks).filter((name) => name.startsWith('pool_'));
        return pools.every((name) => {
          const [, ready, target] = /^(\d+) of (\d+) ready$/.exec(checks[name]) ?? [null, checks[name], 'off'];
          return ready === target;
        });
      },
      'the pools to be full',
      patience,
    );
  }
}

/** The roles as separate processes, and a whole fleet of them. */
import { Camofleet } from './camofleet.mjs';
import { Ranges } from './ranges.mjs';

/** How long control may take to notice that a worker is gone, or back, in milliseconds. */
export const DETECTION_MS = 5000;
export const RECOVERY_MS = 10_000;

/** Starts a control over workers, each as an entry of `CONTROL_WORKERS`. */
export function startControl(workers, settings = {}, options = {}) {
  return Camofleet.start('control', { CONTROL_WORKERS: JSON.stringify(workers), ...settings }, options);
}

/** A fleet of two hosts: a worker with a runner each, named east and west, below one control. */
export class Fleet {
  /** All processes by name; the most recently started first. */
  #members = new Map();

  /**
   * Starts a fleet in which west has live views, and a gateway that shows them.
   *
   * @returns {Promise<Fleet>} the fleet, healthy
   */
  static async start() {
    const fleet = new Fleet();
    try {
      const ranges = await Ranges.claim();
      await fleet.#add('gateway', 'gateway', {
        VNC_WEB_RANGE: `${ranges.ids.first}-${ranges.ids.last}`,
        VNC_BASE_PORT: String(ranges.ports.first),
      });
      const { url, wsUrl } = fleet.gateway;
      await Promise.all([
        fleet.#addHost('East', {}, {}),
        fleet.#addHost('West', { RUNNER_VNC_HTTP_BASE: url, RUNNER_VNC_WS_BASE: wsUrl }, { WORKER_SUPPORTS_VNC: '1' }, ranges),
      ]);
      const east = { name: 'east', url: fleet.workerEast.url };
      const template = `ws://{host}:${new URL(url).port}/websockify?by=control&token={id}`;
      const west = { name: 'west', url: fleet.workerWest.url, supports_vnc: true, vnc_ws: template };
      await fleet.#add('control', 'control', { CONTROL_WORKERS: JSON.stringify([east, west]) });
    } catch (error) {
      fleet.discard();
      throw error;
    }
    return fleet;
  }

  async #addHost(name, runner, worker, ranges) {
    await this.#add(`runner${name}`, 'runner', runner, { ranges });
    await this.#add(`worker${name}`, 'worker', { WORKER_ID: `host-${name}`, WORKER_RUNNER_BASE_URL: this[`runner${name}`].url, ...worker });
  }

  async #add(member, role, settings, options) {
    this.#has(member, await Camofleet.start(role, settings, options));
  }

  #has(member, camofleet) {
    this.#members.set(member, camofleet);
    this[member] = camofleet;
  }

  /** Restarts a killed member in its place. */
  async again(member) {
    this.#has(member, await this[member].again());
    return this[member];
  }

  /** The runner of a session. */
  runnerOf({ worker }) {
    return worker === 'east' ? this.runnerEast : this.runnerWest;
  }

  /** Control's status of one worker. */
  async status(name) {
    return (await this.control.read('/workers')).find((worker) => worker.name === name);
  }

  /** Stops all of it, callers first. */
  async stop() {
    try {
      for (const camofleet of [...this.#members.values()].reverse()) await camofleet.stop();
    } finally {
      this.discard();
    }
  }

  /** Kills everything that is left of it. */
  discard() {
    for (const camofleet of this.#members.values()) camofleet.discard();
  }
}

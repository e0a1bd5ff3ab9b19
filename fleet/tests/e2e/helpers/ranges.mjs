/** Ranges of displays, ports and ids that no other camofleet on this machine uses. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';

/** The default number of display slots in tests. */
const SLOTS = 12;
/** Each block is reserved by a listener on its own port. */
const BLOCKS = 500;
const BLOCK_SIZE = 20;
const BLOCK_PORTS = 31_000;

/** The ranges of one camofleet. */
export class Ranges {
  #claim;

  /**
   * Reserves a free block across all processes.
   *
   * @param {{slots?: number, firstDisplay?: number}} options the number of slots; the first display, to reuse
   * those of another
   */
  static async claim({ slots = SLOTS, firstDisplay } = {}) {
    const first = randomInt(BLOCKS);
    for (let attempt = 0; attempt < BLOCKS; attempt += 1) {
      const block = (first + attempt) % BLOCKS;
      const claim = net.createServer().listen(BLOCK_PORTS + block, '127.0.0.1').unref();
      const taken = await Promise.race([once(claim, 'listening').then(() => false), once(claim, 'error').then(() => true)]).catch(() => true);
      if (!taken) return new Ranges(claim, block * BLOCK_SIZE, slots, firstDisplay);
    }
    throw new Error('there is no block of ports left');
  }

  constructor(claim, offset, slots, firstDisplay = 1000 + offset) {
    this.#claim = claim;
    const range = (first) => ({ first, last: first + slots - 1 });
    this.displays = range(firstDisplay);
    this.ports = range(20_000 + offset);
    this.ids = range(40_000 + offset);
  }

  /** The settings that give these ranges to a runner. */
  settings() {
    const named = { DISPLAY: this.displays, PORT: this.ports, WS_PORT: this.ids };
    const bounds = ([name, { first, last }]) => [
      [`RUNNER_VNC_${name}_MIN`, String(first)],
      [`RUNNER_VNC_${name}_MAX`, String(last)],
    ];
    return Object.fromEntries(Object.entries(named).flatMap(bounds));
  }

  /** Releases the block. */
  release() {
    this.#claim.close();
  }
}

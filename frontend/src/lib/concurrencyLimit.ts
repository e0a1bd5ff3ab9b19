/** Lets so many through at a time; the others wait in line. */
export class ConcurrencyLimit {
  #free: number;
  readonly #queue: (() => void)[] = [];

  /** @param limit how many are let in at once */
  constructor(limit: number) {
    this.#free = limit;
  }

  /**
   * Waits for a place and does something there.
   *
   * @throws the signal's reason, when it is aborted before there is a place
   */
  async run<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#acquire(signal);
    try {
      return await task();
    } finally {
      this.#release();
    }
  }

  #acquire(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#queue.splice(this.#queue.indexOf(start), 1);
        reject(signal.reason as Error);
      };
      const start = () => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      signal.addEventListener('abort', giveUp, { once: true });
      this.#queue.push(start);
    });
  }

  #release(): void {
    const next = this.#queue.shift();
    // The place goes from hand to hand: nobody who comes just now can slip in between.
    if (next) next();
    else this.#free += 1;
  }
}

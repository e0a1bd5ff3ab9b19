/** Runs a limited number of tasks at a time and queues the others. */
export class ConcurrencyLimit {
  #free: number;
  readonly #queue: (() => void)[] = [];

  /** @param limit how many tasks run at a time */
  constructor(limit: number) {
    this.#free = limit;
  }

  /**
   * Runs a task as soon as there is room for it.
   *
   * @throws the signal's reason, if it is aborted while the task is queued
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
    // The slot is handed over directly, so that no new task can take it first.
    if (next) next();
    else this.#free += 1;
  }
}

import { errorText, getEgress, type SessionPlace } from '../api/client.ts';
import type { EgressReport } from '../api/types.ts';
import { sleep } from '../lib/sleep.ts';
import { Store } from '../lib/store.ts';

/** The poll interval, in ms. */
export const EGRESS_INTERVAL_MS = 2000;
/** Delays after consecutive failures, in ms; the last one repeats. */
const RETRY_DELAYS_MS = [2000, 4000, 8000, 15_000];

/** Bytes per second in both directions. */
export interface Rate {
  up: number;
  down: number;
}

/** The state of a polled report. */
export interface PolledEgress {
  /** The last report; null before the first. */
  report: EgressReport | null;
  /** Between the last two polls; null until there are two in a row. */
  rate: Rate | null;
  /** Why there is no newer report; null if there is no problem. */
  problem: string | null;
}

interface Sample {
  /** In ms of `performance.now()`. */
  at: number;
  report: EgressReport;
}

/** The rate between two samples; null if nothing can be said, because the counts began again. */
export function rateBetween(before: Sample, now: Sample): Rate | null {
  const seconds = (now.at - before.at) / 1000;
  const up = now.report.totals.bytes_up - before.report.totals.bytes_up;
  const down = now.report.totals.bytes_down - before.report.totals.bytes_down;
  if (seconds <= 0 || up < 0 || down < 0) return null;
  return { up: up / seconds, down: down / seconds };
}

/** Polls what a session's browser connects to between {@link start} and {@link stop}. */
export class EgressPoller {
  readonly state = new Store<PolledEgress>({ report: null, rate: null, problem: null });
  readonly #place: SessionPlace;
  #run: AbortController | null = null;

  constructor({ worker, id }: SessionPlace) {
    this.#place = { worker, id };
  }

  /** Starts polling, with a first poll at once. */
  start(): void {
    this.stop();
    this.#run = new AbortController();
    void this.#follow(this.#run.signal);
  }

  /** Stops polling. The last report stays; its rate is no longer the present one. */
  stop(): void {
    if (this.#run === null) return;
    this.#run.abort();
    this.#run = null;
    this.state.set({ ...this.state.get(), rate: null });
  }

  async #follow(signal: AbortSignal): Promise<void> {
    // A function, because TypeScript would assume that the value does not change during an await.
    const stopped = () => signal.aborted;
    let last: Sample | null = null;
    let failures = 0;
    while (!stopped()) {
      const started = performance.now();
      try {
        const report = await getEgress(this.#place, signal);
        if (stopped()) return;
        const sample: Sample = { at: performance.now(), report };
        this.state.set({ report, rate: last && rateBetween(last, sample), problem: null });
        last = sample;
        failures = 0;
      } catch (error) {
        if (stopped()) return;
        failures += 1;
        last = null;
        this.state.set({ ...this.state.get(), rate: null, problem: errorText(error) });
      }
      const wait = RETRY_DELAYS_MS[Math.min(failures, RETRY_DELAYS_MS.length) - 1];
      const left = started + EGRESS_INTERVAL_MS - performance.now();
      await sleep(wait ?? Math.max(0, left), signal);
    }
  }
}

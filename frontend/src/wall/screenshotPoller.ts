import { errorText, getScreenshot, type SessionPlace } from '../api/client.ts';
import { sleep } from '../lib/sleep.ts';
import { Store } from '../lib/store.ts';
import { ConcurrencyLimit } from '../lib/concurrencyLimit.ts';

/** The poll interval, in ms; the server renews a screenshot once a second, for all clients together. */
const INTERVAL_MS = 1000;
/** Delays after consecutive failures, in ms; the last one repeats. */
const RETRY_DELAYS_MS = [2000, 4000, 8000, 15_000, 30_000];
/**
 * The maximum number of concurrent requests. A frozen worker holds a request for seconds, and a browser has
 * six connections per origin; some must stay free for other requests.
 */
const MAX_CONCURRENT = 3;
/** The widths that screenshots are requested in, in pixels: few, so that clients share them. */
const WIDTHS = [160, 240, 320, 480, 640, 960, 1280];

const limit = new ConcurrencyLimit(MAX_CONCURRENT);

/** The state of a polled screenshot. */
export interface PolledScreenshot {
  /** The last screenshot as an object URL; `null` before the first. */
  url: string | null;
  /** Why there is no newer one; `null` if there is no problem. */
  problem: string | null;
}

/** The width to request for an element of this width in CSS pixels. */
export function screenshotWidth(elementWidth: number, devicePixelRatio: number): number {
  const wanted = elementWidth * devicePixelRatio;
  return WIDTHS.find((width) => width >= wanted) ?? Math.max(...WIDTHS);
}

/** Polls a session's screenshots between {@link start} and {@link stop}, and keeps the last one. */
export class ScreenshotPoller {
  readonly picture = new Store<PolledScreenshot>({ url: null, problem: null });
  readonly #place: SessionPlace;
  #tag: string | null = null;
  #run: AbortController | null = null;

  constructor(place: SessionPlace) {
    this.#place = place;
  }

  /** Starts polling screenshots of this width in pixels. */
  start(width: number): void {
    this.stop();
    this.#run = new AbortController();
    void this.#follow(width, this.#run.signal);
  }

  /** Stops polling; the last screenshot stays. */
  stop(): void {
    this.#run?.abort();
    this.#run = null;
  }

  /** Stops polling and releases the last screenshot. */
  close(): void {
    this.stop();
    this.#show(null, null);
  }

  async #follow(width: number, signal: AbortSignal): Promise<void> {
    // A function, because TypeScript would assume that the value does not change during an await.
    const stopped = () => signal.aborted;
    let failures = 0;
    while (!stopped()) {
      const started = Date.now();
      try {
        const fetchPicture = () => getScreenshot(this.#place, width, this.#tag, signal);
        const screenshot = await limit.run(fetchPicture, signal);
        if (stopped()) return;
        failures = 0;
        this.#update(screenshot);
      } catch (error) {
        if (stopped()) return;
        failures += 1;
        this.picture.set({ ...this.picture.get(), problem: errorText(error) });
      }
      const wait = RETRY_DELAYS_MS[Math.min(failures, RETRY_DELAYS_MS.length) - 1];
      await sleep(wait ?? Math.max(0, started + INTERVAL_MS - Date.now()), signal);
    }
  }

  #update(screenshot: { picture: Blob; tag: string | null } | null): void {
    if (screenshot === null) {
      const { url, problem } = this.picture.get();
      if (problem !== null) this.picture.set({ url, problem: null });
      return;
    }
    this.#show(URL.createObjectURL(screenshot.picture), screenshot.tag);
  }

  #show(url: string | null, tag: string | null): void {
    const { url: before } = this.picture.get();
    this.#tag = tag;
    this.picture.set({ url, problem: null });
    if (before !== null) URL.revokeObjectURL(before);
  }
}

import { errorText, getScreenshot, type SessionPlace } from '../api/client.ts';
import { sleep } from '../lib/sleep.ts';
import { Store } from '../lib/store.ts';
import { ConcurrencyLimit } from '../lib/concurrencyLimit.ts';

/** How often a screen is asked for, in ms: a session's screen is looked at once a second, however many ask. */
const INTERVAL_MS = 1000;
/** Waits after failures in a row, in ms; the last is for all others. */
const RETRY_DELAYS_MS = [2000, 4000, 8000, 15_000, 30_000];
/**
 * How many pictures are asked for at once. A worker that is frozen keeps a request for seconds, and a browser has six
 * connections for all of them: some have to be left for everything else.
 */
const MAX_CONCURRENT = 3;
/** The widths that pictures are asked for in, in pixels: few, so that all who look share them. */
const WIDTHS = [160, 240, 320, 480, 640, 960, 1280];

const limit = new ConcurrencyLimit(MAX_CONCURRENT);

/** What is known of a screen by its pictures. */
export interface PolledScreenshot {
  /** The last picture, as an object URL; `null` before the first. */
  url: string | null;
  /** Why there is no newer one; `null` while all is well. */
  problem: string | null;
}

/** The width to ask a picture in, for an element that is this wide in CSS pixels. */
export function screenshotWidth(elementWidth: number, devicePixelRatio: number): number {
  const wanted = elementWidth * devicePixelRatio;
  return WIDTHS.find((width) => width >= wanted) ?? Math.max(...WIDTHS);
}

/** Looks at a session's screen again and again, between {@link start} and {@link stop}, and keeps the last picture. */
export class ScreenshotPoller {
  readonly picture = new Store<PolledScreenshot>({ url: null, problem: null });
  readonly #place: SessionPlace;
  #tag: string | null = null;
  #run: AbortController | null = null;

  constructor(place: SessionPlace) {
    this.#place = place;
  }

  /** Begins to look, at pictures of this width in pixels. */
  start(width: number): void {
    this.stop();
    this.#run = new AbortController();
    void this.#follow(width, this.#run.signal);
  }

  /** Looks no more; the last picture stays. */
  stop(): void {
    this.#run?.abort();
    this.#run = null;
  }

  /** Stops, and gives the last picture's memory back. */
  close(): void {
    this.stop();
    this.#show(null, null);
  }

  async #follow(width: number, signal: AbortSignal): Promise<void> {
    // Asked anew each time: it changes while this waits.
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

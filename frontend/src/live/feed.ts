import { ApiError, errorText, getWorkers, listSessions, UnreachableError } from '../api/client.ts';
import { sleep } from '../lib/sleep.ts';
import { Store } from '../lib/store.ts';
import { access } from '../api/token.ts';
import { readEvents, StreamUnauthorized, type FleetEvent } from './eventStream.ts';
import type { FleetStore } from './fleetStore.ts';

/** How the panel learns of changes at present, and since when (ms since the epoch). */
export interface Connection {
  /** `connecting`: nothing is known yet; `live`: from the event stream; `polling`: by asking; `offline`: not at all. */
  mode: 'connecting' | 'live' | 'polling' | 'offline';
  since: number;
  /** Why the API answers nothing else than refusals; null where it does not answer at all, or does. */
  refusal: string | null;
}

/** How often the API is asked while the stream is cut. */
export const POLL_INTERVAL_MS = 5000;
/** Waits before the stream is asked for again: after its first cut, its second, and all others. */
const RETRY_DELAYS_MS = [1000, 2000, 5000, 10_000];

/** Something that happened to a session, for whoever wants to hear of it beside the store. */
export type SessionListener = (event: Extract<FleetEvent, { name: 'session' }>['data']) => void;

/** Keeps a {@link FleetStore} up to date: by the event stream, and by polling while that is cut. */
export class Feed {
  readonly connection = new Store<Connection>({
    mode: 'connecting',
    since: Date.now(),
    refusal: null,
  });
  readonly #store: FleetStore;
  readonly #listeners = new Set<SessionListener>();
  #run: AbortController | null = null;
  #pollTimer: number | undefined;
  #polling = false;
  #lastEventId: string | null = null;
  #retries = 0;

  constructor(store: FleetStore) {
    this.#store = store;
  }

  /** Starts, or starts over with the token that there is now. */
  start(): void {
    this.stop();
    this.#lastEventId = null;
    this.#retries = 0;
    this.connection.set({ mode: 'connecting', since: Date.now(), refusal: null });
    this.#run = new AbortController();
    void this.#follow(this.#run.signal);
  }

  /** Stops for good, until the next start. */
  stop(): void {
    this.#run?.abort();
    this.#run = null;
    this.#stopPolling();
  }

  /** Calls back on each change of a session; returns how to stop that. */
  readonly onSession = (listener: SessionListener): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  async #follow(signal: AbortSignal): Promise<void> {
    // Asked anew each time: it changes while this waits.
    const stopped = () => signal.aborted;
    while (!stopped()) {
      const { token } = access.get();
      try {
        await readEvents({
          token,
          lastEventId: this.#lastEventId,
          signal,
          onOpen: () => {
            this.#retries = 0;
            this.#stopPolling();
            this.#setMode('live');
          },
          onEvent: (event, id) => {
            if (id !== null) this.#lastEventId = id;
            this.#apply(event);
          },
        });
      } catch (error) {
        if (error instanceof StreamUnauthorized) {
          access.refuse(token);
          return;
        }
      }
      if (stopped()) return;
      this.#startPolling(signal);
      const delay = RETRY_DELAYS_MS[Math.min(this.#retries, RETRY_DELAYS_MS.length - 1)] ?? 0;
      this.#retries += 1;
      await sleep(delay, signal);
    }
  }

  #apply(event: FleetEvent): void {
    switch (event.name) {
      case 'snapshot':
        this.#store.replaceAll(event.data.sessions, event.data.workers);
        break;
      case 'session': {
        const { change, session } = event.data;
        if (change === 'ended' || change === 'forgotten') this.#store.remove(session);
        else this.#store.upsert(session);
        for (const listener of this.#listeners) listener(event.data);
        break;
      }
      case 'worker':
        this.#store.setWorker(event.data);
        break;
      case 'workers':
        this.#store.keepWorkers(event.data);
        break;
      case 'activity':
        this.#store.noteActivity(event.data);
        break;
      case 'heartbeat':
        break;
    }
  }

  #startPolling(signal: AbortSignal): void {
    if (this.#polling) return;
    this.#polling = true;
    if (this.connection.get().mode === 'live') this.#setMode('polling');
    void this.#poll(signal);
  }

  #stopPolling(): void {
    this.#polling = false;
    window.clearTimeout(this.#pollTimer);
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const obsolete = () => signal.aborted || !this.#polling;
    try {
      const [sessions, workers] = await Promise.all([listSessions(signal), getWorkers(signal)]);
      if (obsolete()) return;
      this.#store.replaceAll(sessions, workers);
      // This is newer than where the stream was left: it has to begin with a snapshot.
      this.#lastEventId = null;
      this.#setMode('polling');
    } catch (error) {
      if (obsolete()) return;
      if (error instanceof UnreachableError) this.#setMode('offline');
      else if (error instanceof ApiError && error.status !== 401)
        this.#setMode('offline', errorText(error));
    }
    this.#pollTimer = window.setTimeout(() => void this.#poll(signal), POLL_INTERVAL_MS);
  }

  /** The time of the last change of mode stays while the mode does. */
  #setMode(mode: Connection['mode'], refusal: string | null = null): void {
    const before = this.connection.get();
    if (before.mode === mode && before.refusal === refusal) return;
    const since = before.mode === mode ? before.since : Date.now();
    this.connection.set({ mode, since, refusal });
  }
}

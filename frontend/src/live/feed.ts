import { ApiError, errorText, getWorkers, listSessions, UnreachableError } from '../api/client.ts';
import { sleep } from '../lib/sleep.ts';
import { Store } from '../lib/store.ts';
import { access } from '../api/token.ts';
import { readEvents, StreamUnauthorized, type FleetEvent } from './eventStream.ts';
import type { FleetStore } from './fleetStore.ts';

/** How the panel gets changes at present, and since when (ms since the epoch). */
export interface Connection {
  /**
   * `connecting`: nothing is known yet; `live`: event stream; `polling`: the stream is down, lists are
   * polled; `offline`: neither works.
   */
  mode: 'connecting' | 'live' | 'polling' | 'offline';
  since: number;
  /** The reason if the API refuses all requests; null if it is unreachable, or answers. */
  refusal: string | null;
}

/** The poll interval while the event stream is down. */
export const POLL_INTERVAL_MS = 5000;
/** Delays before reconnecting to the stream, by attempt; the last one repeats. */
const RETRY_DELAYS_MS = [1000, 2000, 5000, 10_000];

/** Called for each change of a session. */
export type SessionListener = (event: Extract<FleetEvent, { name: 'session' }>['data']) => void;

/** Keeps a {@link FleetStore} current: by the event stream, and by polling while that is down. */
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

  /** Starts, or restarts with the current token. */
  start(): void {
    this.stop();
    this.#lastEventId = null;
    this.#retries = 0;
    this.connection.set({ mode: 'connecting', since: Date.now(), refusal: null });
    this.#run = new AbortController();
    void this.#follow(this.#run.signal);
  }

  /** Stops until the next start. */
  stop(): void {
    this.#run?.abort();
    this.#run = null;
    this.#stopPolling();
  }

  /** Subscribes to changes of sessions; returns the function that unsubscribes. */
  readonly onSession = (listener: SessionListener): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  async #follow(signal: AbortSignal): Promise<void> {
    // A function, because TypeScript would assume that the value does not change during an await.
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
      // The polled state is newer than the last event, so the stream has to begin with a snapshot.
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

  /** `since` changes only with the mode. */
  #setMode(mode: Connection['mode'], refusal: string | null = null): void {
    const before = this.connection.get();
    if (before.mode === mode && before.refusal === refusal) return;
    const since = before.mode === mode ? before.since : Date.now();
    this.connection.set({ mode, since, refusal });
  }
}

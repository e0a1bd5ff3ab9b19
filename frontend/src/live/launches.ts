import { ApiError, createSession, endSession } from '../api/client.ts';
import { type LaunchDraft, toRequest } from './launchDraft.ts';
import { Store } from '../lib/store.ts';
import type { Session } from '../api/types.ts';
import type { Feed } from './feed.ts';
import type { FleetStore } from './fleetStore.ts';

/** One launch, from the request to its result. */
export interface Launch {
  /** The id of the request, which its session carries too. */
  requestId: string;
  /** The form that was submitted. */
  draft: LaunchDraft;
  /** When it was submitted, in ms of `performance.now()`. */
  startedAt: number;
  /** `asking`: there is no session yet; `starting`: its session is INIT. */
  phase: 'asking' | 'starting' | 'ready' | 'failed' | 'cancelled';
  /** The latest known state of its session. */
  session: Session | null;
  /** How long it took until the session was READY or the launch had failed, in ms. */
  tookMs: number | null;
  /** Why it failed. */
  error: Error | null;
  /** Whether the user has cancelled it and its session is being ended. */
  cancelling: boolean;
}

/** How many launches are kept; beyond that the oldest finished ones are dropped. */
const MAX_LAUNCHES = 6;

/** Whether a launch has finished. */
export function isOver({ phase }: Launch): boolean {
  return phase !== 'asking' && phase !== 'starting';
}

/** A unique request id. `crypto.randomUUID` exists on https and localhost only. */
function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `panel-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/**
 * The launches since the page was loaded. The API answers a create request only when its session is READY;
 * before that the session is recognized in the fleet's state by its request id.
 */
export class Launches {
  readonly list = new Store<readonly Launch[]>([]);
  readonly #store: FleetStore;

  constructor(store: FleetStore, feed: Feed) {
    this.#store = store;
    store.subscribe(() => {
      this.#update();
    });
    feed.onSession(({ change, session }) => {
      if (change === 'ended') this.#noteEnd(session);
    });
  }

  /** Launches a session; returns the request id. */
  start(draft: LaunchDraft): string {
    const requestId = newRequestId();
    const launch: Launch = {
      requestId,
      draft,
      startedAt: performance.now(),
      phase: 'asking',
      session: null,
      tookMs: null,
      error: null,
      cancelling: false,
    };
    const known = this.list.get();
    const tooMany = known.length + 1 - MAX_LAUNCHES;
    const gone = known.filter(isOver).slice(0, Math.max(0, tooMany));
    this.list.set([...known.filter((one) => !gone.includes(one)), launch]);
    void this.#ask(launch);
    return requestId;
  }

  /** Ends the session of an unfinished launch. */
  async cancel(requestId: string): Promise<void> {
    const session = this.#find(requestId)?.session;
    if (!session) return;
    this.#change(requestId, { cancelling: true });
    try {
      await endSession(session);
    } catch (error) {
      this.#change(requestId, { cancelling: false });
      throw error;
    }
    this.#finish(requestId, { phase: 'cancelled' });
  }

  /** Removes a launch from the list. */
  dismiss(requestId: string): void {
    this.list.set(this.list.get().filter((launch) => launch.requestId !== requestId));
  }

  /** Removes all launches: another token may give access to another fleet. */
  clear(): void {
    this.list.set([]);
  }

  #find(requestId: string | null): Launch | undefined {
    return this.list.get().find((launch) => launch.requestId === requestId);
  }

  #change(requestId: string, part: Partial<Launch>): void {
    this.list.set(
      this.list
        .get()
        .map((launch) => (launch.requestId === requestId ? { ...launch, ...part } : launch)),
    );
  }

  /** Only the first result of a launch counts. */
  #finish(requestId: string, part: Partial<Launch> & Pick<Launch, 'phase'>): void {
    const launch = this.#find(requestId);
    if (!launch || isOver(launch)) return;
    this.#change(requestId, { tookMs: performance.now() - launch.startedAt, ...part });
  }

  async #ask({ requestId, draft }: Launch): Promise<void> {
    try {
      const session = await createSession(toRequest(draft), requestId);
      if (!this.#find(requestId)?.cancelling) this.#store.upsert(session);
      this.#finish(requestId, { phase: 'ready', session });
    } catch (failure) {
      const error = failure instanceof Error ? failure : new Error(String(failure));
      const cancelled = error instanceof ApiError && error.code === 'session_cancelled';
      this.#finish(requestId, { phase: cancelled ? 'cancelled' : 'failed', error });
    }
  }

  #update(): void {
    for (const launch of this.list.get()) {
      if (isOver(launch)) continue;
      const { requestId } = launch;
      const session = this.#store.get().sessions.find((one) => one.request_id === requestId);
      if (!session || session === launch.session) continue;
      if (session.status === 'READY') this.#finish(requestId, { phase: 'ready', session });
      else this.#change(requestId, { phase: 'starting', session });
    }
  }

  /** Keeps the session's end reason in addition to the error of the request. */
  #noteEnd(session: Session): void {
    const launch = this.#find(session.request_id);
    if (!launch) return;
    if (launch.phase !== 'ready') this.#change(launch.requestId, { session });
  }
}

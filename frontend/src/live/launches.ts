import { ApiError, createSession, endSession } from '../api/client.ts';
import { type LaunchDraft, toRequest } from './launchDraft.ts';
import { Store } from '../lib/store.ts';
import type { Session } from '../api/types.ts';
import type { Feed } from './feed.ts';
import type { FleetStore } from './fleetStore.ts';

/** One launch, from the request to what came of it. */
export interface Launch {
  /** What the request is called, by the panel and by the session that it makes. */
  requestId: string;
  /** The form as it was sent. */
  draft: LaunchDraft;
  /** When it was sent, in ms of `performance.now()`. */
  startedAt: number;
  /** `asking`: no session is known of it yet; `starting`: there is one, which is INIT. */
  phase: 'asking' | 'starting' | 'ready' | 'failed' | 'cancelled';
  /** The session as it was last seen by the launch. */
  session: Session | null;
  /** How long it took until the session was READY, or until it was clear that it won't be, in ms. */
  tookMs: number | null;
  /** Why it failed. */
  error: Error | null;
  /** Whether its session is being ended because the person wants that. */
  cancelling: boolean;
}

/** How many launches are kept in view; of more, the oldest that are over make room. */
const MAX_LAUNCHES = 6;

/** Whether nothing more will come of a launch. */
export function isOver({ phase }: Launch): boolean {
  return phase !== 'asking' && phase !== 'starting';
}

/** A name for a request that nobody else will think of. `crypto.randomUUID` is for https and localhost only. */
function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `panel-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/**
 * The launches of this visit. The API answers a create request when its session is READY; that there is one is seen
 * before, in the fleet's state, for every session tells which request it is of.
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

  /** Launches a session; returns the name of the request. */
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

  /** Ends the session of a launch that is not over. */
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

  /** Puts a launch out of view. */
  dismiss(requestId: string): void {
    this.list.set(this.list.get().filter((launch) => launch.requestId !== requestId));
  }

  /** Forgets all launches: another token may see another fleet. */
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

  /** The first word on how a launch came out is the one that counts. */
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

  /** What the session tells of its end is kept beside what the answer to the request says. */
  #noteEnd(session: Session): void {
    const launch = this.#find(session.request_id);
    if (!launch) return;
    if (launch.phase !== 'ready') this.#change(launch.requestId, { session });
  }
}

import type { Session, WorkerStatus } from '../api/types.ts';

/** The panel's current knowledge of the fleet. */
export interface FleetState {
  /** Whether any state has been received; until then empty lists mean nothing. */
  known: boolean;
  /** The live sessions, newest first. */
  sessions: readonly Session[];
  /** The same, by {@link sessionKey}. */
  byKey: ReadonlyMap<string, Session>;
  /** The workers, in the order of the fleet's configuration. */
  workers: readonly WorkerStatus[];
}

/** Identifies a session across the fleet: its worker and its id, as in a path. */
export function sessionKey({ worker, id }: Pick<Session, 'worker' | 'id'>): string {
  return `${worker}/${id}`;
}

const EMPTY: FleetState = { known: false, sessions: [], byKey: new Map(), workers: [] };

/** ISO times compare as strings: the two forms in use differ only in how they write UTC. */
function newestFirst(a: Session, b: Session): number {
  return a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0;
}

/**
 * The single place of the fleet's state: the event stream and the polls write to it, all components read from
 * it. An unchanged session stays the same object, so that only changed rows re-render.
 */
export class FleetStore {
  readonly #sessions = new Map<string, Session>();
  readonly #workers = new Map<string, WorkerStatus>();
  readonly #listeners = new Set<() => void>();
  /** The index of each worker in the fleet's order. */
  #order: ReadonlyMap<string, number> = new Map();
  #known = false;
  #state: FleetState | null = EMPTY;
  #notified = true;

  /** The current state: the same object until something changes. */
  readonly get = (): FleetState => {
    this.#state ??= {
      known: this.#known,
      sessions: [...this.#sessions.values()].sort(newestFirst),
      byKey: new Map(this.#sessions),
      workers: [...this.#workers.values()].sort((a, b) => this.#place(a) - this.#place(b)),
    };
    return this.#state;
  };

  /** Subscribes to changes; returns the function that unsubscribes. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Replaces the whole state. */
  replaceAll(sessions: readonly Session[], workers: readonly WorkerStatus[]): void {
    const before = new Map(this.#sessions);
    this.#sessions.clear();
    for (const session of sessions) {
      const key = sessionKey(session);
      this.#sessions.set(key, unchanged(before.get(key), session));
    }
    const workersBefore = new Map(this.#workers);
    this.#workers.clear();
    for (const worker of workers) {
      this.#workers.set(worker.name, unchanged(workersBefore.get(worker.name), worker));
    }
    this.#order = new Map(workers.map(({ name }, place) => [name, place]));
    this.#known = true;
    this.#changed();
  }

  /** Sets the workers' names and order; workers that are not listed are removed. */
  keepWorkers(names: readonly string[]): void {
    this.#order = new Map(names.map((name, place) => [name, place]));
    for (const name of this.#workers.keys()) {
      if (!this.#order.has(name)) this.#workers.delete(name);
    }
    this.#changed();
  }

  #place({ name }: WorkerStatus): number {
    return this.#order.get(name) ?? this.#order.size;
  }

  /** Adds or replaces a session. */
  upsert(session: Session): void {
    const key = sessionKey(session);
    const before = this.#sessions.get(key);
    const stale = this.#workers.get(session.worker)?.stale ?? false;
    const next = unchanged(before, stale === session.stale ? session : { ...session, stale });
    if (next === before) return;
    this.#sessions.set(key, next);
    this.#changed();
  }

  /** Changes fields of a known session. */
  patch(session: Pick<Session, 'worker' | 'id'>, part: Partial<Session>): void {
    const before = this.#sessions.get(sessionKey(session));
    if (before) this.upsert({ ...before, ...part });
  }

  /** Removes a session. */
  remove(session: Pick<Session, 'worker' | 'id'>): void {
    if (this.#sessions.delete(sessionKey(session))) this.#changed();
  }

  /** Updates the times of last use, by session id. */
  noteActivity(lastSeen: Readonly<Record<string, string>>): void {
    for (const [key, session] of this.#sessions) {
      const at = lastSeen[session.id];
      if (at === undefined || at === session.last_seen_at) continue;
      this.#sessions.set(key, { ...session, last_seen_at: at });
      this.#changed();
    }
  }

  /** Updates the traffic of known sessions, and nothing else: events report the rest sooner. */
  noteTraffic(sessions: readonly Session[]): void {
    for (const session of sessions) {
      const key = sessionKey(session);
      const before = this.#sessions.get(key);
      const { egress } = session;
      if (!before?.egress || egress === null) continue;
      const now = unchanged(before.egress, egress);
      if (now === before.egress) continue;
      this.#sessions.set(key, { ...before, egress: now });
      this.#changed();
    }
  }

  /** Adds or replaces a worker, and marks its sessions as stale while it is silent. */
  setWorker(worker: WorkerStatus): void {
    const before = this.#workers.get(worker.name);
    this.#workers.set(worker.name, unchanged(before, worker));
    const stale = worker.stale;
    if ((before?.stale ?? false) !== stale) {
      for (const [key, session] of this.#sessions) {
        if (session.worker === worker.name) this.#sessions.set(key, { ...session, stale });
      }
    }
    this.#changed();
  }

  /** Clears everything: another token may give access to another fleet. */
  clear(): void {
    this.#sessions.clear();
    this.#workers.clear();
    this.#known = false;
    this.#changed();
  }

  /** Notifies the listeners once for all changes of one turn, so that a thousand events cause one render. */
  #changed(): void {
    this.#state = null;
    if (!this.#notified) return;
    this.#notified = false;
    queueMicrotask(() => {
      this.#notified = true;
      for (const listener of this.#listeners) listener();
    });
  }
}

/** The previous object if the new one has the same content. */
function unchanged<T extends object>(before: T | undefined, now: T): T {
  return before !== undefined && JSON.stringify(before) === JSON.stringify(now) ? before : now;
}

import type { Session, WorkerStatus } from '../api/types.ts';

/** All that the panel knows of the fleet, as it is now. */
export interface FleetState {
  /** Whether anything was ever learned; before that, empty lists say nothing. */
  known: boolean;
  /** The live sessions, newest first. */
  sessions: readonly Session[];
  /** The same, by {@link sessionKey}. */
  byKey: ReadonlyMap<string, Session>;
  /** The workers, in the order of the fleet's configuration. */
  workers: readonly WorkerStatus[];
}

/** What tells a session from all others: its worker and its id, as in a path. */
export function sessionKey({ worker, id }: Pick<Session, 'worker' | 'id'>): string {
  return `${worker}/${id}`;
}

const EMPTY: FleetState = { known: false, sessions: [], byKey: new Map(), workers: [] };

/** ISO times of one form compare as texts; the two forms that there are differ only in their zone's sign. */
function newestFirst(a: Session, b: Session): number {
  return a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0;
}

/**
 * The one place where the fleet's state is kept: the event stream and the polls write to it, and every component reads
 * from it. A session that did not change stays the same object, so that only rows with news render again.
 */
export class FleetStore {
  readonly #sessions = new Map<string, Session>();
  readonly #workers = new Map<string, WorkerStatus>();
  readonly #listeners = new Set<() => void>();
  /** The workers' places in the fleet's order. */
  #order: ReadonlyMap<string, number> = new Map();
  #known = false;
  #state: FleetState | null = EMPTY;
  #notified = true;

  /** The state now. It is the same object until something changes. */
  readonly get = (): FleetState => {
    this.#state ??= {
      known: this.#known,
      sessions: [...this.#sessions.values()].sort(newestFirst),
      byKey: new Map(this.#sessions),
      workers: [...this.#workers.values()].sort((a, b) => this.#place(a) - this.#place(b)),
    };
    return this.#state;
  };

  /** Calls back after changes; returns how to stop that. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Takes in the whole state; what is not in it is gone. */
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

  /** Takes in which workers there are; those that are not named are gone. */
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

  /** Takes in a session as it is now. */
  upsert(session: Session): void {
    const key = sessionKey(session);
    const before = this.#sessions.get(key);
    const stale = this.#workers.get(session.worker)?.stale ?? false;
    const next = unchanged(before, stale === session.stale ? session : { ...session, stale });
    if (next === before) return;
    this.#sessions.set(key, next);
    this.#changed();
  }

  /** Changes some of what is known of a session that is there. */
  patch(session: Pick<Session, 'worker' | 'id'>, part: Partial<Session>): void {
    const before = this.#sessions.get(sessionKey(session));
    if (before) this.upsert({ ...before, ...part });
  }

  /** Takes a session away. */
  remove(session: Pick<Session, 'worker' | 'id'>): void {
    if (this.#sessions.delete(sessionKey(session))) this.#changed();
  }

  /** Takes in when sessions were last used, by their ids. */
  noteActivity(lastSeen: Readonly<Record<string, string>>): void {
    for (const [key, session] of this.#sessions) {
      const at = lastSeen[session.id];
      if (at === undefined || at === session.last_seen_at) continue;
      this.#sessions.set(key, { ...session, last_seen_at: at });
      this.#changed();
    }
  }

  /** Takes in a worker as it is now; its silence concerns its sessions too. */
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

  /** Forgets everything: another token may see another fleet. */
  clear(): void {
    this.#sessions.clear();
    this.#workers.clear();
    this.#known = false;
    this.#changed();
  }

  /** Tells the listeners once for all changes of one turn: a thousand events are one rendering. */
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

/** The known object, if the new one says the same. */
function unchanged<T extends object>(before: T | undefined, now: T): T {
  return before !== undefined && JSON.stringify(before) === JSON.stringify(now) ? before : now;
}

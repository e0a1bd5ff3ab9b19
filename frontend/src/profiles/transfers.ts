import {
  exportProfile,
  importProfile,
  type ImportTarget,
  type ProfilePlace,
} from '../api/profiles.ts';
import { ConcurrencyLimit } from '../lib/concurrencyLimit.ts';
import { forgettable } from '../lib/forgettable.ts';
import { Store } from '../lib/store.ts';
import { saveFile } from '../ui/download.ts';

/** One export or import, from the request to its result. */
export interface Transfer {
  id: number;
  kind: 'export' | 'import';
  /** The profile's name. */
  name: string;
  /** How many bytes of the archive have come or were sent. */
  bytes: number;
  /** How many it has; null if that is not known before its end. */
  total: number | null;
  phase: 'waiting' | 'running' | 'done' | 'failed';
  /** Why it failed. */
  error: unknown;
}

/** The end of an archive's name. */
const SUFFIX = '.tar.zst';
/** How many transfers run at a time. */
const AT_ONCE = 2;
/** How many there may be at a time, with those that wait; beyond that the oldest finished ones are dropped. */
export const MOST_TRANSFERS = 30;
/** The shortest interval between two reports of progress, in ms. */
const REPORT_MS = 100;

/** Whether a transfer has finished. */
export function isOver({ phase }: Transfer): boolean {
  return phase === 'done' || phase === 'failed';
}

/** A file's name as that of a profile: without its suffix and what names can't have. */
export function nameOfFile(file: string): string {
  const bare = file.endsWith(SUFFIX) ? file.slice(0, -SUFFIX.length) : file.replace(/\..*$/, '');
  // A browser that has a file with the name already saves the next as `anna (1).tar.zst`.
  const plain = bare.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+|-+$/g, '');
  return plain.slice(0, 64);
}

/** The exports and imports since the page was loaded; they go on while another page of the panel is open. */
export class Transfers {
  readonly list = new Store<readonly Transfer[]>([]);
  readonly #running = new Map<number, AbortController>();
  #limit = new ConcurrencyLimit(AT_ONCE);
  #last = 0;

  /** How many more can be started. */
  room(): number {
    return MOST_TRANSFERS - this.list.get().filter((transfer) => !isOver(transfer)).length;
  }

  /** Downloads a profile; the browser saves it when all of it has come. */
  export(profile: ProfilePlace): void {
    const { name } = profile;
    this.#start({ kind: 'export', name, total: null }, async (onBytes, signal) => {
      saveFile(await exportProfile(profile, onBytes, signal), name + SUFFIX);
    });
  }

  /** Makes a profile of an archive; `onDone` is called when it exists. */
  import(archive: Blob, target: ImportTarget, onDone: () => void): void {
    const { name } = target;
    this.#start({ kind: 'import', name, total: archive.size }, async (onBytes, signal) => {
      await importProfile(archive, target, onBytes, signal);
      onDone();
    });
  }

  /** Ends a transfer, or removes a finished one from the list. */
  dismiss(id: number): void {
    this.#running.get(id)?.abort();
    this.#running.delete(id);
    this.list.set(this.list.get().filter((transfer) => transfer.id !== id));
  }

  /** Ends and removes all: another token may give access to another fleet. */
  clear(): void {
    for (const own of this.#running.values()) own.abort();
    this.#running.clear();
    this.#limit = new ConcurrencyLimit(AT_ONCE);
    this.list.set([]);
  }

  #start(
    what: Pick<Transfer, 'kind' | 'name' | 'total'>,
    work: (onBytes: (bytes: number) => void, signal: AbortSignal) => Promise<void>,
  ): void {
    if (this.room() <= 0) return;
    this.#last += 1;
    const id = this.#last;
    const own = new AbortController();
    this.#running.set(id, own);
    const known = this.list.get();
    const gone = known.filter(isOver).slice(0, Math.max(0, known.length + 1 - MOST_TRANSFERS));
    this.list.set([
      ...known.filter((one) => !gone.includes(one)),
      { ...what, id, bytes: 0, phase: 'waiting', error: null },
    ]);
    let reported = 0;
    const onBytes = (bytes: number) => {
      const now = performance.now();
      // The last report shows that all was sent.
      if (now - reported < REPORT_MS && bytes !== what.total) return;
      reported = now;
      this.#change(id, { bytes });
    };
    const run = () => {
      this.#change(id, { phase: 'running' });
      return work(onBytes, own.signal);
    };
    this.#limit.run(run, own.signal).then(
      () => {
        this.#change(id, { phase: 'done' });
        this.#running.delete(id);
      },
      (error: unknown) => {
        this.#change(id, { phase: 'failed', error });
        this.#running.delete(id);
      },
    );
  }

  #change(id: number, part: Partial<Transfer>): void {
    this.list.set(
      this.list.get().map((transfer) => (transfer.id === id ? { ...transfer, ...part } : transfer)),
    );
  }
}

/** The transfers of the panel. */
export const transfers = new Transfers();
forgettable.add(() => {
  transfers.clear();
});

import type { SessionDefaults, WorkerStatus } from '../api/types.ts';

/** A default as far as it is known before it is decided which worker it is of. */
export type Default<T> =
  | { kind: 'known'; value: NonNullable<T> }
  /** No worker that may be chosen tells it, or there is none: a start page that is not opened, say. */
  | { kind: 'none' }
  /** The workers that may be chosen have different ones. */
  | { kind: 'varies' };

function defaultsOf({ detail }: WorkerStatus): SessionDefaults | null {
  return 'facts' in detail ? (detail.facts?.defaults ?? null) : null;
}

/** The workers that a request can come to: the one that it names, else all that are healthy and can do what it asks. */
function candidates(
  workers: readonly WorkerStatus[],
  { worker, vnc }: { worker: string; vnc: boolean },
): readonly WorkerStatus[] {
  if (worker !== '') return workers.filter(({ name }) => name === worker);
  const able = workers.filter((one) => one.healthy && (one.supports_vnc || !vnc));
  return able.length > 0 ? able : workers;
}

/** What a request gets that leaves a field empty. */
export function defaultOf<Field extends keyof SessionDefaults>(
  field: Field,
  workers: readonly WorkerStatus[],
  request: { worker: string; vnc: boolean },
): Default<SessionDefaults[Field]> {
  const values = new Set(
    candidates(workers, request).map((worker) => defaultsOf(worker)?.[field] ?? null),
  );
  if (values.size > 1) return { kind: 'varies' };
  const [value] = values;
  return value === undefined || value === null ? { kind: 'none' } : { kind: 'known', value };
}

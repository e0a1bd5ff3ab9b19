import type { SessionDefaults, WorkerStatus } from '../api/types.ts';

/** A default, as far as it is known before a worker is picked. */
export type Default<T> =
  | { kind: 'known'; value: NonNullable<T> }
  /** No eligible worker reports it, or there is none (no start page, for example). */
  | { kind: 'none' }
  /** The eligible workers have different defaults. */
  | { kind: 'varies' };

function defaultsOf({ detail }: WorkerStatus): SessionDefaults | null {
  return 'facts' in detail ? (detail.facts?.defaults ?? null) : null;
}

/** The workers eligible for a request: the named one, else all healthy ones that support what it asks for. */
export function candidates(
  workers: readonly WorkerStatus[],
  { worker, vnc }: { worker: string; vnc: boolean },
): readonly WorkerStatus[] {
  if (worker !== '') return workers.filter(({ name }) => name === worker);
  const able = workers.filter((one) => one.healthy && (one.supports_vnc || !vnc));
  return able.length > 0 ? able : workers;
}

/** The value that an empty field of a request gets. */
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

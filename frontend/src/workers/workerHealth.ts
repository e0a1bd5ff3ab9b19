import type { WorkerStatus } from '../api/types.ts';

/** The health states of a worker, the worst first. */
const HEALTH_STATES = ['unreachable', 'degraded', 'draining', 'healthy'] as const;
/** One of {@link HEALTH_STATES}. */
export type HealthState = (typeof HEALTH_STATES)[number];

/** The health state of a worker. */
export function healthState({ detail, healthy, draining }: WorkerStatus): HealthState {
  if ('error' in detail) return 'unreachable';
  if (!healthy) return 'degraded';
  return draining ? 'draining' : 'healthy';
}

/** One health check of a worker and its result. */
export interface WorkerCheck {
  name: string;
  text: string;
  fails: boolean;
}

/** The checks of a worker, failures first; empty while it does not answer. */
export function workerChecks({ detail }: WorkerStatus): WorkerCheck[] {
  if ('error' in detail) return [];
  const { checks, failing } = detail;
  return Object.entries(checks)
    .map(([name, text]) => ({ name, text, fails: failing.includes(name) }))
    .sort((a, b) => Number(b.fails) - Number(a.fails));
}

/** The checks with advice of their own; all pools share one. */
const CHECKS_WITH_ADVICE = ['engine', 'display', 'driver', 'runner'] as const;
/** The key of the advice on a failing check. */
export type Advice = (typeof CHECKS_WITH_ADVICE)[number] | 'pool' | 'other';

/** The advice for a failing check. */
export function adviceFor(check: string): Advice {
  if (check.startsWith('pool_')) return 'pool';
  return CHECKS_WITH_ADVICE.find((name) => name === check) ?? 'other';
}

/** Workers sorted by health, the worst first, then by name. */
export function worstFirst(workers: readonly WorkerStatus[]): WorkerStatus[] {
  const rank = (worker: WorkerStatus) => HEALTH_STATES.indexOf(healthState(worker));
  return workers.toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

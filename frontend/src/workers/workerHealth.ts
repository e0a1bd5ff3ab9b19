import type { WorkerStatus } from '../api/types.ts';

/** A worker's health in one word; the worst first. */
export const HEALTH_STATES = ['unreachable', 'degraded', 'draining', 'healthy'] as const;
/** One of {@link HEALTH_STATES}. */
export type HealthState = (typeof HEALTH_STATES)[number];

/** How a worker is: whether it answers, whether it is well, whether it takes sessions. */
export function healthState({ detail, healthy, draining }: WorkerStatus): HealthState {
  if ('error' in detail) return 'unreachable';
  if (!healthy) return 'degraded';
  return draining ? 'draining' : 'healthy';
}

/** One thing that was checked on a worker, and what was seen. */
export interface WorkerCheck {
  name: string;
  text: string;
  fails: boolean;
}

/** What was checked on a worker, failures first; empty while it does not answer. */
export function workerChecks({ detail }: WorkerStatus): WorkerCheck[] {
  if ('error' in detail) return [];
  const { checks, failing } = detail;
  return Object.entries(checks)
    .map(([name, text]) => ({ name, text, fails: failing.includes(name) }))
    .sort((a, b) => Number(b.fails) - Number(a.fails));
}

/** The checks that have an advice of their own; pools share one. */
const CHECKS_WITH_ADVICE = ['engine', 'display', 'driver', 'runner'] as const;
/** What to do about a failing check. */
export type Advice = (typeof CHECKS_WITH_ADVICE)[number] | 'pool' | 'other';

/** Which advice fits a failing check. */
export function adviceFor(check: string): Advice {
  if (check.startsWith('pool_')) return 'pool';
  return CHECKS_WITH_ADVICE.find((name) => name === check) ?? 'other';
}

/** Workers that need a look first, and by their names. */
export function worstFirst(workers: readonly WorkerStatus[]): WorkerStatus[] {
  const rank = (worker: WorkerStatus) => HEALTH_STATES.indexOf(healthState(worker));
  return workers.toSorted((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

import type { FleetHistory, FleetSample } from '../api/types.ts';

/** The time of the first sample of {@link aHistory}, in ms since the epoch. */
export const HISTORY_START = Date.parse('2026-05-01T12:00:00.000Z');

/** A sample of an idle fleet, at this index of the history. */
export function aSample(index: number, changes: Partial<FleetSample> = {}): FleetSample {
  return {
    at: new Date(HISTORY_START + index * 5000).toISOString(),
    sessions: { init: 0, ready: 0, terminating: 0 },
    attached: 0,
    viewers: 0,
    pools: {},
    creates: { ok: [0, 0, 0], failed: 0 },
    ends: {},
    restarts: {},
    bytes: { in: 0, out: 0 },
    ...changes,
  };
}

/** A history of samples that differ from an idle fleet's. */
export function aHistory(...changes: Partial<FleetSample>[]): FleetHistory {
  return {
    interval_seconds: 5,
    create_seconds: [0.1, 1],
    samples: changes.map((change, index) => aSample(index, change)),
  };
}

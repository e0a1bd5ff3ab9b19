import { describe, expect, it } from 'vitest';

import { aHistory, aSample, HISTORY_START } from '../test/fleetHistory.ts';
import { type ChartName, chartData, type Line, quantile, stack } from './chartData.ts';
import { withNewer } from './useFleetHistory.ts';

/** The lines of a chart, by their names. */
function linesOf(history: Parameters<typeof chartData>[0], name: ChartName, minutes = 5) {
  const chart = chartData(history, minutes).charts.find((one) => one.name === name);
  return new Map((chart?.lines ?? []).map((line) => [line.name, line] as const));
}

describe('a quantile', () => {
  it('interpolates within its bucket', () => {
    expect(quantile([1, 2, 4], [0, 4, 0, 0], 0.5)).toBe(1.5);
    expect(quantile([1, 2, 4], [1, 0, 1, 0], 0.5)).toBe(1);
    expect(quantile([1, 2, 4], [1, 0, 1, 0], 0.75)).toBe(3);
  });

  it('is the last bound for values above it', () => {
    expect(quantile([1, 2], [0, 0, 3], 0.5)).toBe(2);
  });

  it('of no values is null', () => {
    expect(quantile([1, 2], [0, 0, 0], 0.5)).toBeNull();
  });
});

describe('chart data', () => {
  it('covers the time shown, which ends with the last sample', () => {
    const history = aHistory(...Array.from({ length: 100 }, () => ({})));
    const { times } = chartData(history, 5);
    expect(times).toHaveLength(61);
    expect(times.at(-1)).toBe(HISTORY_START + 99 * 5000);
    expect(chartData({ ...history, samples: [] }, 5).times).toEqual([]);
  });

  it('has the sessions of each sample, and the last ones as the figure', () => {
    const ready = linesOf(
      aHistory({}, { sessions: { init: 0, ready: 3, terminating: 1 } }),
      'sessions',
    ).get('ready');
    expect(ready).toMatchObject({ values: [0, 3], figure: 3 });
  });

  it('has latencies over the last minute as the line, and over the whole time as the figure', () => {
    const quick = { creates: { ok: [1, 0, 0], failed: 2 } };
    const slow = { creates: { ok: [0, 3, 0], failed: 0 } };
    const history = aHistory(quick, ...Array.from({ length: 12 }, () => ({})), slow);
    const p95 = linesOf(history, 'latency').get('p95');
    expect(p95?.values[0]).toBeCloseTo(0.095);
    expect(p95?.values[12]).toBeNull();
    expect(p95?.values[13]).toBeCloseTo(0.955);
    expect(p95?.figure).toBeCloseTo(0.94);
    expect(chartData(history, 5).failed).toBe(2);
  });

  it('counts ends by reason over the last minute, and all of them as the figure', () => {
    const history = aHistory(
      { ends: { deleted: 2 } },
      { ends: { expired: 1, melted: 1 } },
      ...Array.from({ length: 11 }, () => ({})),
    );
    const lines = linesOf(history, 'endings');
    expect([...lines.keys()]).toEqual(['deleted', 'expired', 'melted']);
    expect(lines.get('deleted')).toMatchObject({ figure: 2 });
    expect(lines.get('deleted')?.values.slice(10)).toEqual([2, 2, 0]);
  });

  it('gives each end reason that it knows a colour of its own, and an unknown one the last', () => {
    const ends = Object.fromEntries(
      ['deleted', 'expired', 'crashed', 'display_lost', 'driver_lost', 'launch_failed', 'disk_full']
        .concat('abandoned', 'shutdown', 'egress_lost', 'profile_lost', 'forgotten', 'melted')
        .map((reason) => [reason, 1]),
    );
    const lines = linesOf(aHistory({ ends }), 'endings');
    expect([...lines.values()].map(({ colour }) => colour)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12,
    ]);
    expect(lines.get('egress_lost')?.colour).toBe(10);
  });

  it('has bytes per second', () => {
    const out = linesOf(aHistory({ bytes: { in: 0, out: 5000 } }), 'traffic').get('out');
    expect(out?.figure).toBe(1000);
  });

  it('leaves out what this fleet does not have', () => {
    const history = aHistory({
      viewers: null,
      pools: { mobile: { ready: 1, target: 1 }, vnc: { ready: 1, target: 2 } },
    });
    expect([...linesOf(history, 'clients').keys()]).toEqual(['attached']);
    expect([...linesOf(history, 'pools').keys()]).toEqual([
      'pool vnc',
      'poolTarget vnc',
      'pool mobile',
      'poolTarget mobile',
    ]);
    expect(chartData(history, 5).knowsViewers).toBe(false);
  });
});

it('the layers of a stack add up', () => {
  const line = (values: Line['values']): Line => ({
    name: '',
    colour: 1,
    dashed: false,
    values,
    figure: null,
  });
  expect(stack([line([1, 2]), line([3, null])])).toEqual([
    [1, 2],
    [4, 2],
  ]);
});

describe('a growing history', () => {
  it('keeps one hour', () => {
    const known = aHistory(...Array.from({ length: 721 }, () => ({})));
    const grown = withNewer(known, { ...known, samples: [aSample(721)] });
    expect(grown.samples).toHaveLength(721);
    expect(grown.samples.at(-1)).toEqual(aSample(721));
  });

  it('is the same object while there are no new samples', () => {
    const known = aHistory({});
    expect(withNewer(known, { ...known, samples: [] })).toBe(known);
  });
});

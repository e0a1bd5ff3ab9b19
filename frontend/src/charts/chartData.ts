import { poolNames } from '../live/poolNames.ts';
import type { FleetHistory, FleetSample } from '../api/types.ts';
import type { Unit } from './chartText.ts';

/** The charts, in the order of the page. */
export type ChartName =
  'sessions' | 'latency' | 'pools' | 'clients' | 'traffic' | 'endings' | 'restarts';

/** A value at each time; null where there is none. */
export type Values = readonly (number | null)[];

/** One line of a chart, or one layer of a stack. */
export interface Line {
  /** Its name: a key of the i18n texts, or an end reason that this panel may not know. */
  name: string;
  /** The number of its colour token, `--chart-1` to `--chart-12`. */
  colour: number;
  /** Drawn dashed: a target, beside the actual value. */
  dashed: boolean;
  values: Values;
  /** The figure shown for the line: its last value, or the total of the time shown. */
  figure: number | null;
}

/** What one chart shows. */
export interface Chart {
  name: ChartName;
  unit: Unit;
  /** Whether the lines are stacked. */
  stacked: boolean;
  /** Whether the figures cover the whole time shown instead of its end. */
  ofRange: boolean;
  lines: Line[];
}

/** All charts, over one time axis. */
export interface ChartData {
  /** The samples' times, in ms since the epoch. */
  times: number[];
  charts: Chart[];
  /** How many launches failed in that time. */
  failed: number;
  /** Whether this server reports viewers. */
  knowsViewers: boolean;
}

/** The window that events are counted over, in seconds: single events are too rare for a line. */
const WINDOW_SECONDS = 60;

/**
 * A quantile of the create latencies, in seconds, interpolated within its bucket; null without any creates.
 * Above the last bound only that bound is known.
 *
 * @param bounds the buckets' upper bounds, in seconds
 * @param counts how many creates are in each bucket, and in the one above all bounds
 * @param share from 0 to 1
 */
export function quantile(
  bounds: readonly number[],
  counts: readonly number[],
  share: number,
): number | null {
  const all = total(counts);
  if (all === 0) return null;
  const wanted = all * share;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    const upper = bounds[index];
    if (upper === undefined) break;
    if (count > 0 && below + count >= wanted) {
      const lower = bounds[index - 1] ?? 0;
      return lower + ((upper - lower) * (wanted - below)) / count;
    }
    below += count;
  }
  return bounds.at(-1) ?? null;
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function addUp(rows: readonly (readonly number[])[]): number[] {
  const sums: number[] = [];
  for (const row of rows) {
    for (const [index, count] of row.entries()) sums[index] = (sums[index] ?? 0) + count;
  }
  return sums;
}

/** The most distinct colours, one for each pool. */
const POOL_COLOURS = [1, 3, 2, 4, 5, 6] as const;

/** Computes the charts of the last `minutes` of a history. */
export function chartData(history: FleetHistory, minutes: number): ChartData {
  const { samples, interval_seconds: interval, create_seconds: bounds } = history;
  const at = samples.map((sample) => Date.parse(sample.at));
  const from = (at.at(-1) ?? 0) - minutes * 60_000;
  const first = at.findIndex((time) => time >= from);
  const shown = first === -1 ? [] : samples.slice(first);
  const perWindow = Math.max(1, Math.round(WINDOW_SECONDS / interval));

  /** A value for each sample shown, computed from the window of samples that ends with it. */
  const overWindows = (value: (window: readonly FleetSample[]) => number | null): Values =>
    shown.map((_, index) => {
      const end = first + index + 1;
      return value(samples.slice(Math.max(0, end - perWindow), end));
    });

  const gauge = (
    name: string,
    colour: number,
    value: (sample: FleetSample) => number | null,
    dashed = false,
  ): Line => {
    const values = shown.map(value);
    return { name, colour, dashed, values, figure: values.at(-1) ?? null };
  };

  const latency = (name: string, colour: number, share: number): Line => {
    const of = (some: readonly FleetSample[]) =>
      quantile(bounds, addUp(some.map(({ creates }) => creates.ok)), share);
    return { name, colour, dashed: false, values: overWindows(of), figure: of(shown) };
  };

  const counted = (counts: (sample: FleetSample) => Record<string, number>): Line[] => {
    const seen = new Set(shown.flatMap((sample) => Object.keys(counts(sample))));
    const known = REASONS.filter((name) => seen.has(name));
    const names = [...known, ...[...seen].filter((name) => !known.includes(name)).sort()];
    return names.map((name) => {
      const of = (some: readonly FleetSample[]) =>
        total(some.map((sample) => counts(sample)[name] ?? 0));
      // Reasons that this panel does not know share the last colour.
      const colour = 1 + (known.includes(name) ? REASONS.indexOf(name) : REASONS.length - 1);
      return { name, colour, dashed: false, values: overWindows(of), figure: of(shown) };
    });
  };

  const charts: Chart[] = [
    {
      name: 'sessions',
      unit: 'count',
      stacked: true,
      ofRange: false,
      lines: [
        gauge('ready', 1, ({ sessions }) => sessions.ready),
        gauge('init', 2, ({ sessions }) => sessions.init),
        gauge('terminating', 4, ({ sessions }) => sessions.terminating),
      ],
    },
    {
      name: 'latency',
      unit: 'seconds',
      stacked: false,
      ofRange: true,
      lines: [latency('p50', 1, 0.5), latency('p95', 4, 0.95)],
    },
    {
      name: 'pools',
      unit: 'count',
      stacked: false,
      ofRange: false,
      lines: poolNames(shown.map(({ pools }) => pools)).flatMap((pool, index) => {
        // One colour for each pool; many pools share some.
        const colour = POOL_COLOURS[index % POOL_COLOURS.length] ?? 1;
        return [
          gauge(`pool ${pool}`, colour, ({ pools }) => pools[pool]?.ready ?? null),
          gauge(`poolTarget ${pool}`, colour, ({ pools }) => pools[pool]?.target ?? null, true),
        ];
      }),
    },
    {
      name: 'clients',
      unit: 'count',
      stacked: false,
      ofRange: false,
      lines: [
        gauge('attached', 1, ({ attached }) => attached),
        gauge('viewers', 3, ({ viewers }) => viewers),
      ],
    },
    {
      name: 'traffic',
      unit: 'bytesPerSecond',
      stacked: false,
      ofRange: false,
      lines: [
        gauge('in', 3, ({ bytes }) => bytes.in / interval),
        gauge('out', 2, ({ bytes }) => bytes.out / interval),
      ],
    },
    {
      name: 'endings',
      unit: 'count',
      stacked: true,
      ofRange: true,
      lines: counted(({ ends }) => ends),
    },
    {
      name: 'restarts',
      unit: 'count',
      stacked: true,
      ofRange: true,
      lines: counted(({ restarts }) => restarts),
    },
  ];
  return {
    times: at.slice(first === -1 ? at.length : first),
    charts: charts.map((chart) => ({ ...chart, lines: chart.lines.filter(hasValues) })),
    failed: total(shown.map(({ creates }) => creates.failed)),
    knowsViewers: samples.at(-1)?.viewers !== null,
  };
}

/** The end reasons that this panel knows, in the order of their layers and colours. */
const REASONS = [
  'deleted',
  'expired',
  'crashed',
  'display_lost',
  'driver_lost',
  'launch_failed',
  'disk_full',
  'abandoned',
  'shutdown',
  'egress_lost',
  'profile_lost',
  'forgotten',
];

function hasValues({ values }: Line): boolean {
  return values.some((value) => value !== null);
}

/** The upper edge of each layer of a stack. */
export function stack(lines: readonly Line[]): Values[] {
  let below: Values = [];
  return lines.map(({ values }) => {
    below = values.map((value, index) => (value ?? 0) + (below[index] ?? 0));
    return below;
  });
}

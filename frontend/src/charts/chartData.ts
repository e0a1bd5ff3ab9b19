import type { FleetHistory, FleetSample } from '../api/types.ts';
import type { Unit } from './chartText.ts';

/** The charts, in the order of the page. */
export type ChartName =
  'sessions' | 'latency' | 'pools' | 'clients' | 'traffic' | 'endings' | 'restarts';

/** A value at each time; null where there is none. */
export type Values = readonly (number | null)[];

/** One line of a chart, or one layer of a stack. */
export interface Line {
  /** What it is of: a key of the texts, or an end reason that the panel may not know. */
  name: string;
  /** The number of its colour token, `--chart-1` to `--chart-10`. */
  colour: number;
  /** Drawn dashed: what is wanted, beside what there is. */
  dashed: boolean;
  values: Values;
  /** What stands for it in figures: its last value, or what it comes to in all of the time shown. */
  figure: number | null;
}

/** What one chart shows. */
export interface Chart {
  name: ChartName;
  unit: Unit;
  /** Whether its lines add up. */
  stacked: boolean;
  /** Whether its figures are of the whole time shown, not of its end. */
  ofRange: boolean;
  lines: Line[];
}

/** All charts over one axis of time. */
export interface ChartData {
  /** The samples' times, in ms since the epoch. */
  times: number[];
  charts: Chart[];
  /** How many launches failed in that time. */
  failed: number;
  /** Whether this server knows of viewers. */
  knowsViewers: boolean;
}

/** What events are counted over, in seconds: single ones are too rare to make a line. */
const WINDOW_SECONDS = 60;

/**
 * The latency that a share of all creates stayed within, in seconds; null without any. Within its bucket it is where the
 * share would be if the bucket's creates were spread evenly; above the last bound nothing is known but that bound.
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

/** What the charts show of the last `minutes` of a history. */
export function chartData(history: FleetHistory, minutes: number): ChartData {
  const { samples, interval_seconds: interval, create_seconds: bounds } = history;
  const at = samples.map((sample) => Date.parse(sample.at));
  const from = (at.at(-1) ?? 0) - minutes * 60_000;
  const first = at.findIndex((time) => time >= from);
  const shown = first === -1 ? [] : samples.slice(first);
  const perWindow = Math.max(1, Math.round(WINDOW_SECONDS / interval));

  /** A value of each sample that is shown, made from it and those in the window before it. */
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
      lines: [
        gauge('headless', 1, ({ pools }) => pools.headless?.ready ?? null),
        gauge('headlessTarget', 1, ({ pools }) => pools.headless?.target ?? null, true),
        gauge('vnc', 3, ({ pools }) => pools.vnc?.ready ?? null),
        gauge('vncTarget', 3, ({ pools }) => pools.vnc?.target ?? null, true),
      ],
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

/** The end reasons that the panel knows, in the order of their layers and colours. */
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
  'forgotten',
];

function hasValues({ values }: Line): boolean {
  return values.some((value) => value !== null);
}

/** Each line of a stack with those below it added: where its upper edge is drawn. */
export function stack(lines: readonly Line[]): Values[] {
  let below: Values = [];
  return lines.map(({ values }) => {
    below = values.map((value, index) => (value ?? 0) + (below[index] ?? 0));
    return below;
  });
}

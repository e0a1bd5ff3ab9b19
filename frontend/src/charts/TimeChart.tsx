import { type ReactNode, useEffect, useMemo, useRef } from 'react';
import UPlot, { type AlignedData, type Options, type Series } from 'uplot';

import { timeOfDayText } from '../ui/format.ts';
import { useColourScheme } from '../ui/useColourScheme.ts';
import { useStore } from '../lib/useStore.ts';
import { language } from '../i18n/language.ts';
import { type Chart, type Line, stack } from './chartData.ts';
import { type Unit, valueText } from './chartText.ts';

/** In CSS pixels. */
const HEIGHT = 168;
/** Links the cursors of all charts on the page. */
const SYNC_KEY = 'fleet';
/** The lowest maximum of each unit's axis, so that noise on an idle fleet does not fill the chart. */
const LEAST_TOP: Record<Unit, number> = { count: 2, seconds: 0.1, bytesPerSecond: 1000 };
/** Steps of an axis of counts: whole numbers only. */
const WHOLE_STEPS = [1, 10, 100, 1000, 10_000].flatMap((ten) => [ten, 2 * ten, 5 * ten]);

interface TimeChartProps {
  chart: Chart;
  /** In ms since the epoch, one for each value. */
  times: readonly number[];
  /** The length of the time axis, in ms. */
  spanMs: number;
  /** The text alternative of the chart. */
  label: string;
  /** Called with the index of the sample under the pointer, or null. */
  onPoint: (index: number | null) => void;
}

/** A chart drawn on a canvas. Its figures are shown beside it. */
export function TimeChart({ chart, times, spanMs, label, onPoint }: TimeChartProps): ReactNode {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot>(null);
  const scheme = useColourScheme();
  const lang = useStore(language);
  const data = useMemo(() => dataOf(chart, times), [chart, times]);
  const look = [chart.unit, chart.lines.map(({ name }) => name), spanMs, scheme, lang].join();
  const latest = useRef({ chart, data, onPoint });

  useEffect(() => {
    latest.current = { chart, data, onPoint };
  });

  useEffect(() => {
    const at = host.current;
    if (!at) return;
    const { chart: drawn, data: first } = latest.current;
    const point = (index: number | null) => {
      latest.current.onPoint(index);
    };
    const made = new UPlot(optionsFor(drawn, at, spanMs, point), first, at);
    plot.current = made;
    const resizes = new ResizeObserver(() => {
      made.setSize({ width: at.clientWidth, height: HEIGHT });
    });
    resizes.observe(at);
    return () => {
      resizes.disconnect();
      plot.current = null;
      made.destroy();
    };
    // Everything else that changes is passed on as data; only these need a new chart.
  }, [look, spanMs, lang]);

  // After the chart was created, so that it never gets the data of other lines.
  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  return <div ref={host} className="chart-picture" role="img" aria-label={label} />;
}

/**
 * uPlot's order: times in seconds, then the lines. The upper layers of a stack come first, so that lower ones
 * cover them.
 */
function dataOf({ lines, stacked }: Chart, times: readonly number[]): AlignedData {
  const values = stacked ? stack(lines).reverse() : lines.map((line) => line.values);
  return [times.map((ms) => ms / 1000), ...values.map((row) => [...row])] as AlignedData;
}

function optionsFor(
  { lines, stacked, unit }: Chart,
  host: HTMLElement,
  spanMs: number,
  onPoint: (index: number | null) => void,
): Options {
  const colour = colourReader(host);
  const seriesOf = (line: Line): Series => ({
    stroke: colour(`--chart-${line.colour}`),
    width: line.dashed ? 1.5 : 2,
    ...(line.dashed && { dash: [5, 4] }),
    ...(stacked && { fill: colour(`--chart-${line.colour}`), points: { show: false } }),
  });
  const series = lines.map(seriesOf);
  const axis = {
    stroke: colour('--text-quiet'),
    grid: { stroke: colour('--border'), width: 1 },
    ticks: { show: false },
    font: `12px ${getComputedStyle(host).fontFamily}`,
  };
  return {
    width: host.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    // Half of the last label extends beyond its axis.
    padding: [8, 28, 0, 0],
    cursor: { sync: { key: SYNC_KEY }, y: false, drag: { x: false, y: false } },
    scales: {
      x: { range: (_plot, _least, most) => [most - spanMs / 1000, most] },
      y: { range: (_plot, _least, most) => [0, Math.max(LEAST_TOP[unit], most * 1.1)] },
    },
    axes: [
      {
        ...axis,
        size: 28,
        space: 72,
        values: (_plot, splits) => splits.map((second) => timeOfDayText(second * 1000, 'short')),
        // The labels show minutes, so steps are no shorter.
        incrs: [60, 120, 300, 600, 900, 1800],
      },
      {
        ...axis,
        size: 72,
        space: 30,
        values: (_plot, splits) => splits.map((value) => valueText(value, unit)),
        ...(unit === 'count' && { incrs: WHOLE_STEPS }),
      },
    ],
    series: [{}, ...(stacked ? series.reverse() : series)],
    hooks: {
      setCursor: [
        ({ cursor }) => {
          onPoint(cursor.idx ?? null);
        },
      ],
    },
  };
}

/** Resolves the current colours: a canvas understands neither custom properties nor `light-dark()`. */
function colourReader(host: HTMLElement): (token: string) => string {
  return (token) => {
    const probe = document.createElement('span');
    probe.style.color = `var(${token})`;
    host.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
}

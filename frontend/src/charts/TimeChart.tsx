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
/** What all charts of the page share: whoever points into one points into all. */
const SYNC_KEY = 'fleet';
/** The least height of each unit's axis: silence is not drawn as if it were a storm. */
const LEAST_TOP: Record<Unit, number> = { count: 2, seconds: 0.1, bytesPerSecond: 1000 };
/** Steps of an axis of counts: there is no half of a session. */
const WHOLE_STEPS = [1, 10, 100, 1000, 10_000].flatMap((ten) => [ten, 2 * ten, 5 * ten]);

interface TimeChartProps {
  chart: Chart;
  /** In ms since the epoch, one for each value. */
  times: readonly number[];
  /** How much of the time before the last value is shown, in ms. */
  spanMs: number;
  /** What the picture says, for who does not see it. */
  label: string;
  /** Told the place of the time that is pointed at, or null. */
  onPoint: (index: number | null) => void;
}

/** A chart as a picture. Its figures stand beside it. */
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
    // What else changes is handed over as data; this is what a picture has to be made anew for.
  }, [look, spanMs, lang]);

  // After the picture was made, so that it is never handed the data of other lines than it has.
  useEffect(() => {
    plot.current?.setData(data);
  }, [data]);

  return <div ref={host} className="chart-picture" role="img" aria-label={label} />;
}

/** uPlot's order: times in seconds, then the lines. The upper layers of a stack come first, so that lower ones cover them. */
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
    // The last label stands half beyond the end of its axis.
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
        // A minute is the least that the labels tell apart.
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

/** Reads the colours of the moment: a canvas knows neither tokens nor `light-dark()`. */
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

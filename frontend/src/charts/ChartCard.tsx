import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { timeOfDayText } from '../ui/format.ts';
import type { Chart } from './chartData.ts';
import { valueText, lineText } from './chartText.ts';
import { TimeChart } from './TimeChart.tsx';

interface ChartCardProps {
  chart: Chart;
  times: readonly number[];
  spanMs: number;
  /** Index of the sample under the pointer, in whichever chart; null without one. */
  pointed: number | null;
  onPoint: (index: number | null) => void;
  /** An additional remark on the chart. */
  note: string | null;
}

/** A chart with its current figures: those of the sample under the pointer, else the summary of each line. */
export function ChartCard(props: ChartCardProps): ReactNode {
  const { chart, times, spanMs, pointed, onPoint, note } = props;
  const { t } = useTranslation('fleet');
  const { name, unit, lines } = chart;
  const titleId = `chart-${name}`;
  const figures = lines.map((line) => {
    const value = pointed === null ? line.figure : (line.values[pointed] ?? null);
    return {
      ...line,
      title: lineText(t, line.name),
      text: value === null ? '–' : valueText(value, unit),
    };
  });
  const pointedAt = pointed === null ? undefined : times[pointed];
  const of = chart.ofRange ? t('charts.inRange') : t('charts.now');
  const when =
    pointedAt === undefined ? of : t('charts.pointed', { time: timeOfDayText(pointedAt) });
  return (
    <section className="card chart-card" aria-labelledby={titleId}>
      <header>
        <h3 id={titleId}>{t(`charts.titles.${name}`)}</h3>
        <p className="hint">{t(`charts.hints.${name}`)}</p>
      </header>
      {lines.length === 0 ? (
        <p className="quiet chart-empty">{t(`charts.empty.${name}`)}</p>
      ) : (
        <>
          <p className="quiet chart-when">{when}</p>
          <ul className="chart-figures">
            {figures.map(({ name: line, colour, dashed, title, text }) => (
              <li key={line}>
                <span
                  className={dashed ? 'chart-mark dashed' : 'chart-mark'}
                  style={{ color: `var(--chart-${colour})` }}
                  aria-hidden="true"
                />
                {title} <strong>{text}</strong>
              </li>
            ))}
          </ul>
          <TimeChart
            chart={chart}
            times={times}
            spanMs={spanMs}
            label={`${t(`charts.titles.${name}`)}: ${figures.map(({ title, text }) => `${title} ${text}`).join(', ')}`}
            onPoint={onPoint}
          />
        </>
      )}
      {note !== null && <p className="hint">{note}</p>}
    </section>
  );
}

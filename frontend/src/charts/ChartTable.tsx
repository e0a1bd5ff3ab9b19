import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Chart, Line } from './chartData.ts';
import { valueText, lineText } from './chartText.ts';

/** The figures of all charts as a table, for people who can't see or point at the charts. */
export function ChartTable({ charts }: { charts: readonly Chart[] }): ReactNode {
  const { t } = useTranslation('fleet');
  return (
    <details className="card figures">
      <summary>{t('charts.table.show')}</summary>
      <div className="figures-scroll">
        <table>
          <caption className="visually-hidden">{t('charts.table.caption')}</caption>
          <thead>
            <tr>
              <th scope="col">{t('charts.table.chart')}</th>
              <th scope="col">{t('charts.table.line')}</th>
              <th scope="col">{t('charts.table.last')}</th>
              <th scope="col">{t('charts.table.least')}</th>
              <th scope="col">{t('charts.table.most')}</th>
              <th scope="col">{t('charts.inRange')}</th>
            </tr>
          </thead>
          <tbody>
            {charts.flatMap((chart) =>
              chart.lines.map((line) => (
                <tr key={`${chart.name} ${line.name}`}>
                  <th scope="row">{t(`charts.titles.${chart.name}`)}</th>
                  <td>{lineText(t, line.name)}</td>
                  {cellsOf(chart, line).map((value, index) => (
                    <td key={index}>{value === null ? '–' : valueText(value, chart.unit)}</td>
                  ))}
                </tr>
              )),
            )}
          </tbody>
        </table>
      </div>
    </details>
  );
}

/** Last, lowest and highest value, and the total of the time shown where there is one. */
function cellsOf({ ofRange }: Chart, { values, figure }: Line): (number | null)[] {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return [null, null, null, null];
  // No spread into Math.min: some engines limit the number of arguments.
  const least = known.reduce((a, b) => Math.min(a, b));
  const most = known.reduce((a, b) => Math.max(a, b));
  return [values.at(-1) ?? null, least, most, ofRange ? figure : null];
}

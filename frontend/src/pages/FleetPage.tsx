import 'uplot/dist/uPlot.min.css';
import '../styles/charts.css';

import { type ReactNode, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { errorText, UnreachableError } from '../api/client.ts';
import { oneOf, Preference } from '../lib/preference.ts';
import { ChartCard } from '../charts/ChartCard.tsx';
import { chartData } from '../charts/chartData.ts';
import { ChartTable } from '../charts/ChartTable.tsx';
import { useFleetHistory } from '../charts/useFleetHistory.ts';
import { usePageTitle } from '../ui/usePageTitle.ts';
import { useStore } from '../lib/useStore.ts';

/** The ranges to choose from, in minutes. */
const RANGES = ['5', '30', '60'] as const;
const range = new Preference<(typeof RANGES)[number]>('fleet-range', '30', oneOf(...RANGES));

/** Charts of the fleet's last hour, or a part of it. */
export function FleetPage(): ReactNode {
  const { t } = useTranslation('fleet');
  usePageTitle(t('charts.title'));
  const minutes = useStore(range);
  const history = useFleetHistory();
  const [pointed, setPointed] = useState<number | null>(null);
  const data = useMemo(
    () => history.data && chartData(history.data, Number(minutes)),
    [history.data, minutes],
  );

  const noteOn = (chart: string): string | null => {
    if (chart === 'latency' && data && data.failed > 0) {
      return t('charts.failed', { count: data.failed });
    }
    if (chart === 'clients' && data && !data.knowsViewers) return t('charts.noViewers');
    return null;
  };

  return (
    <section className="fleet-page" aria-labelledby="fleet-title">
      <div className="section-header">
        <h2 id="fleet-title">{t('charts.title')}</h2>
        <fieldset className="ranges">
          <legend className="visually-hidden">{t('charts.range')}</legend>
          {RANGES.map((choice) => (
            <label key={choice}>
              <input
                type="radio"
                name="range"
                value={choice}
                checked={choice === minutes}
                onChange={() => {
                  setPointed(null);
                  range.set(choice);
                }}
              />
              <span>{t(`charts.ranges.${choice}`)}</span>
            </label>
          ))}
        </fieldset>
      </div>
      {history.error && !(history.error instanceof UnreachableError) && (
        <p className="banner" role="alert">
          {errorText(history.error)}
        </p>
      )}
      {data && data.times.length > 0 ? (
        <>
          <div className="charts">
            {data.charts.map((chart) => (
              <ChartCard
                key={chart.name}
                chart={chart}
                times={data.times}
                spanMs={Number(minutes) * 60_000}
                pointed={pointed}
                onPoint={setPointed}
                note={noteOn(chart.name)}
              />
            ))}
          </div>
          <ChartTable charts={data.charts} />
        </>
      ) : (
        !history.error && <p className="empty card">{t('charts.waiting')}</p>
      )}
    </section>
  );
}

import { type ReactNode, useId } from 'react';
import { useTranslation } from 'react-i18next';

import type { ProxyCheck as Result, WorkerStatus } from '../api/types.ts';
import { useFleet } from '../hooks/fleet.ts';
import { useProxyCheck } from '../hooks/useProxyCheck.ts';
import { type ProxyDraft, toProxy } from '../live/proxyDraft.ts';
import { countryText, unitText } from '../ui/format.ts';
import {
  checkErrorText,
  checkerOf,
  checkFailureText,
  checkObstacle,
  needsCredit,
} from './proxyChecks.ts';

const DB_IP = 'https://db-ip.com';

interface ProxyCheckProps {
  draft: ProxyDraft;
  /** The workers on which the session may run. */
  workers: readonly WorkerStatus[];
  /** The worker that the form names; empty if any of them will do. */
  worker: string;
  /** The profile whose proxy is the default; null for the worker's. */
  profile?: string | null;
  /** Called before a check; false if the fields are incomplete, and nothing is checked. */
  onStart: () => boolean;
}

/** Checks the proxy of a form: a button, and beside it what sites see of a browser with that proxy. */
export function ProxyCheck(props: ProxyCheckProps): ReactNode {
  const { draft, workers, worker, profile = null, onStart } = props;
  const { t } = useTranslation('network');
  const note = useId();
  const fleet = useFleet().workers;
  const checker = checkerOf(workers, worker, draft);
  const obstacle = checkObstacle(workers, checker, fleet.length > 1 ? worker : '');
  const { state, start, stop } = useProxyCheck(toProxy(draft), checker.name, profile);
  const running = state.phase === 'running';

  return (
    <div role="group" aria-label={t('check.label')} className="proxy-check">
      <button
        type="button"
        className="button"
        disabled={obstacle !== null}
        aria-describedby={note}
        onClick={() => {
          if (running) stop();
          else if (onStart()) start();
        }}
      >
        {running ? t('check.stop') : t('check.start')}
      </button>
      <div id={note} className={`proxy-check-note ${obstacle === null ? 'roomy' : ''}`}>
        {obstacle !== null && <p className="hint">{obstacle}</p>}
        {obstacle === null && state.phase === 'idle' && <p className="hint">{t('check.hint')}</p>}
        <div role="status" aria-busy={running}>
          {running && <p className="hint">{t('check.running')}</p>}
          {state.phase === 'failed' && <p className="problem">{checkErrorText(state.error)}</p>}
          {state.phase === 'checked' && !state.result.ok && (
            <p className="proxy-check-facts">
              <span className="badge bad">{t('check.fails')}</span>
              <span className="problem">{checkFailureText(state.result)}</span>
            </p>
          )}
          {state.phase === 'checked' && state.result.ok && (
            <Exit
              result={state.result}
              database={checker.facts?.city_database}
              checkedBy={worker === '' && workers.length > 1 ? checker.name : null}
            />
          )}
        </div>
      </div>
    </div>
  );
}

/** Names the makers of the database of places, as its licence wants. */
export function DbIpCredit(): ReactNode {
  const { t } = useTranslation('network');
  return (
    <a href={DB_IP} target="_blank" rel="noreferrer">
      {t('check.credit')}
    </a>
  );
}

interface ExitProps {
  result: Result;
  /** The worker's city database; null if it has none, undefined if that is not known. */
  database: string | null | undefined;
  /** The worker that was chosen for the check; null if there was no choice. */
  checkedBy: string | null;
}

/** Where a proxy that works lets connections out. */
function Exit({ result, database, checkedBy }: ExitProps): ReactNode {
  const { t } = useTranslation('network');
  const { exit_ip: address, country, city, timezone, latency_ms: latency } = result;
  const placed = country !== null || city !== null;
  const took = latency === null ? null : unitText(latency, 'millisecond');
  const named = country === null ? null : countryText(country);
  // Of a city that is a country once is enough.
  const place = [named, city === named ? null : city].filter((part) => part !== null).join(', ');
  return (
    <>
      <div className="proxy-check-facts">
        <span className="badge good">{t('check.works')}</span>
        <dl>
          <div>
            <dt className="visually-hidden">{t('check.address')}</dt>
            <dd>
              <strong>{address}</strong>
            </dd>
          </div>
          {placed && (
            <div>
              <dt className="visually-hidden">{t('check.place')}</dt>
              <dd>
                {country !== null && (
                  <span className="badge" aria-hidden="true">
                    {country}
                  </span>
                )}
                {place}
              </dd>
            </div>
          )}
          {timezone !== null && (
            <div>
              <dt className="visually-hidden">{t('check.timezone')}</dt>
              <dd>{timezone}</dd>
            </div>
          )}
          {took !== null && (
            <div>
              <dt className="visually-hidden">{t('check.latency')}</dt>
              <dd>{took}</dd>
            </div>
          )}
        </dl>
      </div>
      <p className="hint proxy-check-remarks">
        {!placed && <span>{database === null ? t('check.noDatabase') : t('check.noPlace')}</span>}
        {checkedBy !== null && <span>{t('check.checkedBy', { worker: checkedBy })}</span>}
        {(placed || timezone !== null) && needsCredit(database ?? null) && <DbIpCredit />}
      </p>
    </>
  );
}

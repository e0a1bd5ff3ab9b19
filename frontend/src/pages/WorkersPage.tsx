import { type ReactNode, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Session, SessionStatus } from '../api/types.ts';
import { worstFirst } from '../workers/workerHealth.ts';
import { WorkerCard } from '../workers/WorkerCard.tsx';
import { useFleet } from '../hooks/fleet.ts';
import { usePageTitle } from '../ui/usePageTitle.ts';

type Counts = Readonly<Record<SessionStatus, number>>;

const NONE: Counts = { INIT: 0, READY: 0, TERMINATING: 0, DEAD: 0 };
/** An example of the setting, for a fleet without workers. */
const EXAMPLE = `CONTROL_WORKERS='[{"name": "east", "url": "http://10.0.0.2:8080"}]'`;

/** The number of sessions of each worker, by state. */
function countByWorker(sessions: readonly Session[]): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const { worker, status } of sessions) {
    const before = counts.get(worker) ?? NONE;
    counts.set(worker, { ...before, [status]: before[status] + 1 });
  }
  return counts;
}

/** The workers of the fleet, unhealthy ones first. */
export function WorkersPage(): ReactNode {
  const { t } = useTranslation(['fleet', 'panel']);
  usePageTitle(t('workers.title'));
  const { known, workers, sessions } = useFleet();
  const sorted = useMemo(() => worstFirst(workers), [workers]);
  const counts = useMemo(() => countByWorker(sessions), [sessions]);
  const healthy = workers.filter((worker) => worker.healthy).length;
  return (
    <section aria-labelledby="workers-title">
      <div className="section-header">
        <h2 id="workers-title">
          {t('workers.title')}
          {workers.length > 0 && (
            <span className="count">
              {t('workers.wellOfAll', { healthy, count: workers.length })}
            </span>
          )}
        </h2>
      </div>
      {!known && <p className="empty card">{t('loading', { ns: 'panel' })}</p>}
      {known && workers.length === 0 && (
        <div className="empty card">
          <h3>{t('workers.none')}</h3>
          <p>{t('workers.noneText')}</p>
          <code>{EXAMPLE}</code>
        </div>
      )}
      <div className="workers">
        {sorted.map((worker) => (
          <WorkerCard key={worker.name} worker={worker} counts={counts.get(worker.name) ?? NONE} />
        ))}
      </div>
    </section>
  );
}

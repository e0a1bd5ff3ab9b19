import { memo, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import type { SessionStatus, WorkerStatus } from '../api/types.ts';
import { type HealthState, healthState, workerChecks } from './workerHealth.ts';
import { DrainButton } from './DrainButton.tsx';
import { WorkerChecks } from './WorkerChecks.tsx';
import { WorkerFacts } from './WorkerFacts.tsx';
import { WorkerLoad } from './WorkerLoad.tsx';
import { WorkerProblems } from './WorkerProblems.tsx';

const TONES: Record<HealthState, string> = {
  unreachable: 'badge bad',
  degraded: 'badge bad',
  draining: 'badge busy',
  healthy: 'badge good',
};

interface WorkerCardProps {
  worker: WorkerStatus;
  /** Its sessions by state. */
  counts: Readonly<Record<SessionStatus, number>>;
}

/** The details of one worker. */
export const WorkerCard = memo(function WorkerCard({ worker, counts }: WorkerCardProps): ReactNode {
  const { t } = useTranslation('fleet');
  const { name, sessions } = worker;
  const state = healthState(worker);
  const titleId = `worker-${name}`;
  return (
    <article className="card worker-card" aria-labelledby={titleId}>
      <header>
        <h3 id={titleId}>{name}</h3>
        <span className={TONES[state]}>{t(`workers.health.${state}`)}</span>
        {worker.supports_vnc && <span className="badge">{t('workers.liveView')}</span>}
        <Link to={{ pathname: '/', search: new URLSearchParams({ worker: name }).toString() }}>
          {t('workers.sessions', { count: sessions })}{' '}
          <span className="visually-hidden">{t('workers.of', { worker: name })}</span>
        </Link>
        <DrainButton worker={worker} />
      </header>
      <WorkerProblems worker={worker} />
      <WorkerLoad worker={worker} counts={counts} />
      <WorkerFacts worker={worker} />
      <WorkerChecks checks={workerChecks(worker)} />
    </article>
  );
});

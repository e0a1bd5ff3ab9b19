import { memo, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import type { SessionStatus, WorkerStatus } from '../api/types.ts';
import { type HealthWord, healthWord, workerChecks } from './workerHealth.ts';
import { DrainButton } from './DrainButton.tsx';
import { WorkerChecks } from './WorkerChecks.tsx';
import { WorkerFacts } from './WorkerFacts.tsx';
import { WorkerLoad } from './WorkerLoad.tsx';
import { WorkerTrouble } from './WorkerProblems.tsx';

const TONES: Record<HealthWord, string> = {
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

/** All that is known of one worker. */
export const WorkerCard = memo(function WorkerCard({ worker, counts }: WorkerCardProps): ReactNode {
  const { t } = useTranslation('fleet');
  const { name, sessions } = worker;
  const word = healthWord(worker);
  const titleId = `worker-${name}`;
  return (
    <article className="card worker-card" aria-labelledby={titleId}>
      <header>
        <h3 id={titleId}>{name}</h3>
        <span className={TONES[word]}>{t(`workers.health.${word}`)}</span>
        {worker.supports_vnc && <span className="badge">{t('workers.liveView')}</span>}
        <Link to={{ pathname: '/', search: new URLSearchParams({ worker: name }).toString() }}>
          {t('workers.sessions', { count: sessions })}{' '}
          <span className="visually-hidden">{t('workers.of', { worker: name })}</span>
        </Link>
        <DrainButton worker={worker} />
      </header>
      <WorkerTrouble worker={worker} />
      <WorkerLoad worker={worker} counts={counts} />
      <WorkerFacts worker={worker} />
      <WorkerChecks checks={workerChecks(worker)} />
    </article>
  );
});

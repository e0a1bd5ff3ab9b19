import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { adviceFor, healthState, workerChecks } from './workerHealth.ts';
import type { WorkerStatus } from '../api/types.ts';
import { useCheckName } from './WorkerChecks.tsx';

/** Why a worker is not healthy, and what to do about it. Nothing for a healthy one. */
export function WorkerProblems({ worker }: { worker: WorkerStatus }): ReactNode {
  const { t } = useTranslation('fleet');
  const checkName = useCheckName();
  const { detail, url, stale } = worker;
  const state = healthState(worker);
  if (state === 'healthy') return null;
  if (state === 'draining') return <p className="worker-note">{t('workers.why.draining')}</p>;
  const failing = workerChecks(worker).filter(({ fails }) => fails);
  return (
    <div className="worker-problems">
      {'error' in detail && (
        <>
          <p>
            <strong>{t('workers.why.unreachable', { error: detail.error })}</strong>
          </p>
          <p>
            {url === null
              ? t('workers.why.unreachableHere')
              : t('workers.why.unreachableDo', { url })}
          </p>
        </>
      )}
      {state === 'degraded' && failing.length === 0 && <p>{t('workers.why.silent')}</p>}
      {failing.map(({ name, text }) => (
        <p key={name}>
          <strong>
            {checkName(name)}: {text}
          </strong>{' '}
          {t(`workers.why.${adviceFor(name)}`)}
        </p>
      ))}
      {stale && <p>{t('workers.why.stale')}</p>}
    </div>
  );
}

import type { TFunction } from 'i18next';
import { type ReactNode, useEffect, useId, useState } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import type { WorkerStatus } from '../api/types.ts';
import { useFleet } from '../hooks/fleet.ts';
import { Icon } from './icons.tsx';

function summary(t: TFunction, workers: readonly WorkerStatus[]): string {
  const count = workers.length;
  if (count === 0) return t('fleetHealth.noWorkers');
  const healthy = workers.filter((worker) => worker.healthy).length;
  if (healthy < count) return t('fleetHealth.someWorkers', { healthy, count });
  return t('fleetHealth.workers', { count });
}

/** The fleet's health in one word, and every worker's checks on demand. */
export function FleetHealth(): ReactNode {
  const { t } = useTranslation();
  const { known, workers } = useFleet();
  const [open, setOpen] = useState(false);
  const detailsId = useId();

  useEffect(() => {
    if (!open) return;
    const closeOnEscape = (event: KeyboardEvent) => {
      if (event.key === 'Escape') setOpen(false);
    };
    document.addEventListener('keydown', closeOnEscape);
    return () => {
      document.removeEventListener('keydown', closeOnEscape);
    };
  }, [open]);

  if (!known) return null;
  const status =
    workers.length > 0 && workers.every((worker) => worker.healthy) ? 'ok' : 'degraded';
  return (
    <div className="fleet">
      <button
        type="button"
        className={`fleet-summary ${status}`}
        aria-expanded={open}
        aria-controls={detailsId}
        onClick={() => {
          setOpen(!open);
        }}
      >
        <span className="dot" aria-hidden="true" />
        <span>
          {t(`fleetHealth.${status}`)} <span className="fleet-count">· {summary(t, workers)}</span>
        </span>
        <Icon name="chevron" />
      </button>
      {open && (
        <section id={detailsId} className="fleet-details card" aria-label={t('fleetHealth.label')}>
          {workers.length === 0 && (
            <p>
              <Trans t={t} i18nKey="fleetHealth.empty" components={{ code: <code /> }} />
            </p>
          )}
          {workers.map((worker) => (
            <Worker key={worker.name} worker={worker} />
          ))}
        </section>
      )}
    </div>
  );
}

function Worker({ worker }: { worker: WorkerStatus }): ReactNode {
  const { t } = useTranslation();
  const { name, healthy, detail, supports_vnc: supportsVnc } = worker;
  return (
    <article className="worker">
      <h3>
        {name}
        <span className={healthy ? 'badge good' : 'badge bad'}>
          {healthy ? t('fleetHealth.healthy') : t('fleetHealth.unhealthy')}
        </span>
        {supportsVnc && <span className="badge">{t('fleetHealth.liveView')}</span>}
      </h3>
      {'error' in detail ? (
        <p className="problem">{detail.error}</p>
      ) : (
        <dl>
          <div>
            <dt>{t('fleetHealth.version')}</dt>
            <dd>{detail.version}</dd>
          </div>
          {Object.entries(detail.checks).map(([check, text]) => (
            <div key={check}>
              <dt>{check}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      )}
    </article>
  );
}

import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { SessionStatus, WorkerStatus } from '../api/types.ts';
import { poolNames, poolText } from '../live/poolNames.ts';
import { Meter } from '../ui/Meter.tsx';

interface WorkerLoadProps {
  worker: WorkerStatus;
  /** Its sessions by state. */
  counts: Readonly<Record<SessionStatus, number>>;
}

/** The load of a worker: sessions and capacity, warm browsers, display slots. */
export function WorkerLoad({ worker, counts }: WorkerLoadProps): ReactNode {
  const { t } = useTranslation('fleet');
  const facts = 'error' in worker.detail ? null : worker.detail.facts;
  const { sessions } = worker;
  const states = [
    counts.READY > 0 && t('workers.load.ready', { count: counts.READY }),
    counts.INIT > 0 && t('workers.load.starting', { count: counts.INIT }),
    counts.TERMINATING > 0 && t('workers.load.ending', { count: counts.TERMINATING }),
  ].filter((text) => text !== false);
  const detail = states.length === 0 ? {} : { detail: states.join(', ') };
  // The two with settings of their own are shown as off where they are disabled.
  const pools = facts && { headless: null, vnc: null, ...facts.pools };
  return (
    <div className="worker-load">
      {facts?.capacity == null ? (
        <Plain label={t('workers.load.sessions')} {...detail}>
          {t('workers.load.unbounded', { value: sessions })}
        </Plain>
      ) : (
        <Meter
          label={t('workers.load.sessions')}
          value={sessions}
          max={facts.capacity}
          text={t('workers.load.of', { value: sessions, max: facts.capacity })}
          {...detail}
        />
      )}
      {facts?.slots && (
        <Meter
          label={t('workers.load.slots')}
          value={facts.slots.used}
          max={facts.slots.total}
          text={t('workers.load.of', { value: facts.slots.used, max: facts.slots.total })}
        />
      )}
      {pools &&
        poolNames([pools]).map((name) => {
          const pool = facts.pools[name];
          const label = t('workers.load.pool', { pool: poolText(t, name) });
          if (!pool) {
            return (
              <Plain key={name} label={label}>
                {t('workers.load.off')}
              </Plain>
            );
          }
          const { ready, launching, target } = pool;
          return (
            <Meter
              key={name}
              label={label}
              value={ready}
              max={target}
              text={t('workers.load.of', { value: ready, max: target })}
              {...(launching > 0 && { detail: t('workers.load.launching', { count: launching }) })}
            />
          );
        })}
    </div>
  );
}

interface PlainProps {
  label: string;
  detail?: string;
  children: ReactNode;
}

/** A value without a bar, because its maximum is unknown. */
function Plain({ label, detail, children }: PlainProps): ReactNode {
  return (
    <p className="meter">
      <span className="meter-label">{label}</span> <span className="meter-value">{children}</span>
      {detail !== undefined && <span className="meter-detail"> {detail}</span>}
    </p>
  );
}

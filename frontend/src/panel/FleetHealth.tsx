import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { useFleet } from '../hooks/fleet.ts';

/** The fleet's health in one line, as a link to its workers. */
export function FleetHealth(): ReactNode {
  const { t } = useTranslation('fleet');
  const { known, workers } = useFleet();
  if (!known) return null;
  const count = workers.length;
  const healthy = workers.filter((worker) => worker.healthy).length;
  const word = count > 0 && healthy === count ? 'ok' : 'degraded';
  let summary = t('summary.some', { healthy, count });
  if (count === 0) summary = t('summary.none');
  else if (healthy === count) summary = t('summary.healthy', { count });
  return (
    <Link to="/workers" className={`fleet-summary ${word}`}>
      <span className="dot" aria-hidden="true" />
      <span className="fleet-word">{t(`summary.word.${word}`)}</span>{' '}
      <span className="fleet-count">{summary}</span>
    </Link>
  );
}

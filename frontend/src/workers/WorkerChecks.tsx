import { type ReactNode, useCallback } from 'react';
import { useTranslation } from 'react-i18next';

import { poolText } from '../live/poolNames.ts';
import type { WorkerCheck } from './workerHealth.ts';
import type { texts } from '../i18n/texts.ts';
import { Icon } from '../ui/icons.tsx';

type KnownCheck = keyof (typeof texts)['en']['fleet']['workers']['checks']['names'];

/** Translates names of checks; an unknown one is shown unchanged. */
export function useCheckName(): (name: string) => string {
  const { t } = useTranslation('fleet');
  return useCallback(
    (name) => {
      if (name.startsWith('pool_')) {
        return t('workers.checks.pool', { pool: poolText(t, name.slice('pool_'.length)) });
      }
      return t(`workers.checks.names.${name as KnownCheck}`, { defaultValue: name });
    },
    [t],
  );
}

/** The health checks of a worker with their results. */
export function WorkerChecks({ checks }: { checks: readonly WorkerCheck[] }): ReactNode {
  const { t } = useTranslation('fleet');
  const checkName = useCheckName();
  if (checks.length === 0) return null;
  return (
    <section className="worker-checks">
      <h4>{t('workers.checks.title')}</h4>
      <ul>
        {checks.map(({ name, text, fails }) => (
          <li key={name} className={fails ? 'fails' : 'passes'}>
            <Icon name={fails ? 'close' : 'check'} />
            <span className="visually-hidden">
              {fails ? t('workers.checks.fails') : t('workers.checks.passes')}:
            </span>
            <span className="check-name">{checkName(name)}</span>
            <span className="check-text">{text}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

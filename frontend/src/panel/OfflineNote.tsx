import type { ReactNode } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { useConnection } from '../hooks/fleet.ts';
import { timeOfDayText } from '../ui/format.ts';

/** Shows since when the API has been unreachable, or why it refuses requests; the panel keeps retrying. */
export function OfflineNote(): ReactNode {
  const { t } = useTranslation();
  const { mode, since, refusal } = useConnection();
  if (mode !== 'offline') return null;
  if (refusal !== null) {
    return (
      <p className="banner" role="alert">
        {t('connection.refused', { reason: refusal })}
      </p>
    );
  }
  return (
    <p className="banner" role="alert">
      <Trans
        t={t}
        i18nKey="connection.offlineSince"
        values={{ time: timeOfDayText(since) }}
        components={{ when: <time dateTime={new Date(since).toISOString()} /> }}
      />
    </p>
  );
}

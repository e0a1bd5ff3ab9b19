import type { ReactNode } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { useConnection } from '../hooks/fleet.ts';
import { timeOfDayText } from './format.ts';

/** Says since when the API has been out of reach, and that the panel keeps trying. */
export function OfflineNote(): ReactNode {
  const { t } = useTranslation();
  const { mode, since } = useConnection();
  if (mode !== 'offline') return null;
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

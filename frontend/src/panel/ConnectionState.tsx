import type { ReactNode } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { useConnection } from '../hooks/fleet.ts';
import { POLL_INTERVAL_MS } from '../live/feed.ts';
import { timeOfDayText } from '../ui/format.ts';

/** The state of the connection to the API, and since when. */
export function ConnectionState(): ReactNode {
  const { t } = useTranslation();
  const { mode, since } = useConnection();
  const hint = t(`connection.hints.${mode}`, { seconds: POLL_INTERVAL_MS / 1000 });
  return (
    <p className={`connection ${mode}`} title={hint} role="status">
      <span className="dot" aria-hidden="true" />
      {t(`connection.${mode}`)}
      <span className="quiet off-phone">
        {' '}
        <Trans
          t={t}
          i18nKey="connection.since"
          values={{ time: timeOfDayText(since) }}
          components={{ when: <time dateTime={new Date(since).toISOString()} /> }}
        />
      </span>
    </p>
  );
}

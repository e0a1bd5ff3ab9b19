import { type ReactNode, useEffect } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { ApiError, errorText } from '../api/client.ts';
import type { HistoryEntry, Session } from '../api/types.ts';
import { useConnection } from '../hooks/fleet.ts';
import { useHistory } from '../hooks/queries.ts';
import { POLL_INTERVAL_MS } from '../live/feed.ts';
import { momentText, timeOfDayText } from '../ui/format.ts';
import { exitDetailText } from './exits.ts';
import { changeText, changeTone } from './sessionText.ts';

/** The events of a session, the latest first. */
export function SessionHistory({ session }: { session: Session }): ReactNode {
  const { t } = useTranslation(['session', 'panel']);
  const { data, error, refetch } = useHistory(session);
  const { mode } = useConnection();

  // Events invalidate the history. While their stream is down it is polled, and fetched once more when the
  // stream is back, for events missed in between.
  useEffect(() => {
    void refetch({ cancelRefetch: false });
    if (mode === 'live') return;
    const timer = window.setInterval(
      () => void refetch({ cancelRefetch: false }),
      POLL_INTERVAL_MS,
    );
    return () => {
      window.clearInterval(timer);
    };
  }, [mode, refetch]);

  return (
    <section className="card page-card" aria-labelledby="history-title">
      <h3 id="history-title">{t('history.title')}</h3>
      {data ? (
        <ol className="timeline" aria-labelledby="history-title">
          {data.toReversed().map((entry, index) => (
            // New entries come first, so the index from the end identifies an entry.
            <Entry key={data.length - index} entry={entry} />
          ))}
        </ol>
      ) : (
        <p className="quiet">{error ? <Refusal error={error} /> : t('panel:loading')}</p>
      )}
    </section>
  );
}

function Refusal({ error }: { error: Error }): ReactNode {
  const { t } = useTranslation('session');
  return error instanceof ApiError && error.status === 404
    ? t('history.forgotten')
    : errorText(error);
}

function Entry({ entry }: { entry: HistoryEntry }): ReactNode {
  const { t } = useTranslation('session');
  const { at, change, detail, request_id: requestId } = entry;
  return (
    <li className={changeTone(change)}>
      <span className="timeline-what">{changeText(change)}</span>
      <time dateTime={at} title={momentText(at)}>
        {timeOfDayText(at)}
      </time>
      {detail !== null && (
        <p className="timeline-detail">
          {change === 'proxy_changed' ? exitDetailText(detail) : detail}
        </p>
      )}
      {requestId !== null && (
        <p className="timeline-request">
          <Trans
            t={t}
            i18nKey="history.request"
            values={{ id: requestId }}
            components={{ id: <code /> }}
          />
        </p>
      )}
    </li>
  );
}

import { type ReactNode, useState } from 'react';
import { Trans, useTranslation } from 'react-i18next';
import { Link, useParams } from 'react-router';

import { ApiError, errorText, type SessionPlace } from '../api/client.ts';
import type { Session } from '../api/types.ts';
import { ConnectSnippets } from '../sessions/ConnectSnippets.tsx';
import { momentText } from '../ui/format.ts';
import { endedInOrder, endReasonText, shortId } from '../sessions/sessionText.ts';
import { LiveView } from '../sessions/LiveView.tsx';
import { SessionActions } from '../sessions/SessionActions.tsx';
import { SessionFacts } from '../sessions/SessionFacts.tsx';
import { SessionNetwork } from '../sessions/SessionNetwork.tsx';
import { SessionHistory } from '../sessions/SessionHistory.tsx';
import { StatusBadge } from '../sessions/StatusBadge.tsx';
import { useLiveSession } from '../hooks/fleet.ts';
import { useRememberedSession } from '../hooks/queries.ts';
import { usePageTitle } from '../ui/usePageTitle.ts';

/** The page of the live or ended session in the address. */
export function SessionPage(): ReactNode {
  const { worker = '', id = '' } = useParams();
  return <PageOf key={`${worker}/${id}`} worker={worker} id={id} />;
}

function PageOf(place: SessionPlace): ReactNode {
  const { t } = useTranslation(['session', 'panel']);
  usePageTitle(t('title', { id: shortId(place.id) }));
  const live = useLiveSession(place);
  const [lastLive, setLastLive] = useState(live);
  const remembered = useRememberedSession(place, live === undefined);
  if (live !== undefined && live !== lastLive) setLastLive(live);

  // While the API is asked about an ended session, its last live state stays visible.
  const ended = remembered.data?.status === 'DEAD' ? remembered.data : undefined;
  const session =
    live ?? ended ?? (remembered.isFetching ? lastLive : undefined) ?? remembered.data;
  if (session) return <Page session={session} />;
  if (remembered.error) {
    return (
      <Missing place={place} error={remembered.error} onRetry={() => void remembered.refetch()} />
    );
  }
  return (
    <p className="empty card" role="status">
      {t('panel:loading')}
    </p>
  );
}

function Page({ session }: { session: Session }): ReactNode {
  const { t } = useTranslation('session');
  const id = shortId(session.id);
  const alive = session.status !== 'DEAD';
  return (
    <article className="session-page" aria-labelledby="session-title">
      <header className="session-header">
        <Link to="/">← {t('back')}</Link>
        <h2 id="session-title">
          <Trans t={t} i18nKey="heading" values={{ id }} components={{ id: <code /> }} />
        </h2>
        <StatusBadge status={session.status} />
        <span className="quiet">{t('onWorker', { worker: session.worker })}</span>
        {alive && <SessionActions session={session} />}
      </header>
      {session.stale && (
        <p className="banner" role="status">
          {t('stale')}
        </p>
      )}
      {!alive && <Ending session={session} />}
      <div className={alive ? 'session-columns' : 'session-columns ended'}>
        {alive && (
          <div className="session-main">
            {session.vnc_enabled && session.vnc.ws !== null && <LiveView session={session} />}
            <ConnectSnippets session={session} />
            <SessionNetwork session={session} />
          </div>
        )}
        <div className="session-aside">
          <SessionFacts session={session} />
          {!alive && <SessionNetwork session={session} />}
          <SessionHistory session={session} />
        </div>
      </div>
    </article>
  );
}

function Ending({ session }: { session: Session }): ReactNode {
  const { t } = useTranslation('session');
  const { ended_at: endedAt, end_reason: reason, end_detail: detail } = session;
  return (
    <section className="card page-card ending" aria-label={t('end')}>
      <span className={endedInOrder(reason) ? 'badge' : 'badge bad'}>{endReasonText(reason)}</span>
      {detail && <p>{detail}</p>}
      {endedAt && (
        <p className="quiet">
          <time dateTime={endedAt}>{momentText(endedAt)}</time>
        </p>
      )}
    </section>
  );
}

interface MissingProps {
  place: SessionPlace;
  error: Error;
  onRetry: () => void;
}

function Missing({ place, error, onRetry }: MissingProps): ReactNode {
  const { t } = useTranslation(['session', 'panel']);
  const unknown = error instanceof ApiError && error.status === 404;
  return (
    <div className="empty card">
      <h2>{unknown ? t('missing.unknown') : t('missing.failed')}</h2>
      <p>
        {unknown
          ? t('missing.unknownText', { worker: place.worker, id: place.id })
          : errorText(error)}
      </p>
      {!unknown && (
        <button type="button" className="button" onClick={onRetry}>
          {t('missing.retry')}
        </button>
      )}
      <Link className="button primary" to="/">
        {t('panel:toSessions')}
      </Link>
    </div>
  );
}

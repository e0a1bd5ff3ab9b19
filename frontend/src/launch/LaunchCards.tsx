import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { errorText } from '../api/client.ts';
import type { LaunchDraft } from '../live/launchDraft.ts';
import { useLaunches, useLiveFleet } from '../hooks/fleet.ts';
import { notifyError } from '../ui/notices.ts';
import { isOver, type Launch } from '../live/launches.ts';
import { sessionPath } from '../sessions/sessionPath.ts';
import { elapsedText, tookText } from '../ui/format.ts';
import { shortId } from '../sessions/sessionText.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { StatusBadge } from '../sessions/StatusBadge.tsx';

/** How often the elapsed time is updated, in ms. */
const TICK_MS = 100;

/** The launches since the page was loaded, each with its progress and possible actions. */
export function LaunchCards({ onForm }: { onForm: (draft: LaunchDraft) => void }): ReactNode {
  const { t } = useTranslation('cards');
  const launches = useLaunches();
  return (
    <section className="launch-cards" aria-label={t('label')} aria-live="polite">
      {launches.map((launch) => (
        <LaunchCard key={launch.requestId} launch={launch} onForm={onForm} />
      ))}
    </section>
  );
}

const TONES: Record<Launch['phase'], string> = {
  asking: '',
  starting: '',
  ready: 'good',
  failed: 'bad',
  cancelled: '',
};

function LaunchCard({
  launch,
  onForm,
}: {
  launch: Launch;
  onForm: (draft: LaunchDraft) => void;
}): ReactNode {
  const { t } = useTranslation('cards');
  const { launches } = useLiveFleet();
  const { requestId, phase, session, draft, cancelling } = launch;
  const id = session ? shortId(session.id) : '';
  const worker = session?.worker ?? '';
  const dismiss = () => {
    launches.dismiss(requestId);
  };
  const again = () => {
    dismiss();
    onForm(draft);
  };
  const cancel = async () => {
    try {
      await launches.cancel(requestId);
    } catch (error) {
      notifyError(t('notCancelled', { problem: errorText(error) }));
    }
  };
  return (
    <article className={`launch-card card ${TONES[phase]}`}>
      <header>
        <p>{t(phase, { id, worker })}</p>
        {isOver(launch) && <IconButton icon="close" label={t('dismiss')} onClick={dismiss} />}
      </header>
      <Progress launch={launch} />
      <div className="launch-card-actions">
        {phase === 'ready' && session && (
          <Link className="button small primary" to={sessionPath(session)} onClick={dismiss}>
            {t('open')}
          </Link>
        )}
        {phase === 'ready' && (
          <button type="button" className="button small" onClick={again}>
            {t('another')}
          </button>
        )}
        {(phase === 'failed' || phase === 'cancelled') && (
          <button type="button" className="button small" onClick={again}>
            {t('again')}
          </button>
        )}
        {phase === 'failed' && session && (
          <Link className="button small" to={sessionPath(session)}>
            {t('page')}
          </Link>
        )}
        {phase === 'starting' && (
          <button
            type="button"
            className="button small"
            disabled={cancelling}
            onClick={() => void cancel()}
          >
            {cancelling ? t('cancelling') : t('cancel')}
          </button>
        )}
      </div>
    </article>
  );
}

/** The progress of a launch, how long it took, and why it failed. */
function Progress({ launch }: { launch: Launch }): ReactNode {
  const { t } = useTranslation('cards');
  const { phase, session, tookMs, error } = launch;
  if (phase === 'asking' || phase === 'starting') {
    return (
      <p className="launch-progress">
        {session && <StatusBadge status={session.status} />}
        <Elapsed since={launch.startedAt} />
      </p>
    );
  }
  const time = tookText(tookMs ?? 0);
  if (phase === 'ready') {
    return <p>{t('readyIn', { worker: session?.worker ?? '', time })}</p>;
  }
  if (phase === 'cancelled') return null;
  const reason = error ? errorText(error) : '';
  const detail = session?.end_detail ?? '';
  return (
    <>
      <p className="problem">{reason}</p>
      {!reason.includes(detail) && <p className="problem">{detail}</p>}
      <p className="quiet">{t('failedAfter', { time })}</p>
    </>
  );
}

function Elapsed({ since }: { since: number }): ReactNode {
  const { t } = useTranslation('cards');
  const [now, setNow] = useState(() => performance.now());
  useEffect(() => {
    const timer = window.setInterval(() => {
      setNow(performance.now());
    }, TICK_MS);
    return () => {
      window.clearInterval(timer);
    };
  }, []);
  return (
    // Ten updates a second are not for screen readers.
    <span role="timer" aria-live="off" aria-label={t('elapsed')} className="launch-time">
      {elapsedText(now - since)}
    </span>
  );
}

import type { ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import type { texts } from '../i18n/texts.ts';
import { bytesText, durationText } from '../ui/format.ts';
import { exitText, shortExitText, totalBytes } from './exits.ts';
import { profilePath } from './profilePath.ts';
import { endedInOrder, endReasonText, endsWhenIdle } from './sessionText.ts';
import { Labels, SessionIdentity } from './SessionIdentity.tsx';
import { StatusBadge } from './StatusBadge.tsx';
import { IdleCountdown } from './IdleCountdown.tsx';
import { Ago } from '../ui/Ago.tsx';
import { useTexts } from '../i18n/useTexts.ts';

/** The id of a column. */
export type ColumnId = Exclude<
  keyof (typeof texts)['en']['sessions']['columns'],
  'select' | 'actions'
>;

/** One column of a table of sessions. */
export interface SessionColumn {
  /** Its key in the stored layout and in the texts: `sessions:columns.…`. */
  id: ColumnId;
  /** The sort value; without it the column can't be sorted. */
  sortBy?: (session: Session) => string | number;
  cell: (session: Session) => ReactNode;
  /** Its width in rem; columns without one share the remaining width. */
  width?: number;
  /** Whether the column can't be hidden. */
  fixed?: boolean;
  /** Whether the column is left out on windows of medium width. */
  wideOnly?: boolean;
}

function deadlineOf(session: Session): number {
  // What never ends by itself comes after everything that does.
  if (!endsWhenIdle(session)) return Infinity;
  return Date.parse(session.last_seen_at) + session.idle_ttl_seconds * 1000;
}

function endOf(session: Session): string {
  return session.ended_at ?? session.last_seen_at;
}

function NoValue(): ReactNode {
  return <span className="quiet">–</span>;
}

function WorkerCell({ session }: { session: Session }): ReactNode {
  const t = useTexts('sessions');
  return (
    <span className="place">
      <span title={session.worker}>{session.worker}</span>
      {session.stale && (
        <span className="badge bad" title={t('staleHint')}>
          {t('stale')}
        </span>
      )}
    </span>
  );
}

function LiveViewCell({ session }: { session: Session }): ReactNode {
  const t = useTexts('sessions');
  return session.vnc_enabled ? t('hasView') : <NoValue />;
}

function ExitCell({ session: { proxy, egress } }: { session: Session }): ReactNode {
  const t = useTexts('sessions');
  if (egress === null) return <NoValue />;
  const exit = exitText(proxy);
  const [down, up] = [bytesText(egress.bytes_down), bytesText(egress.bytes_up)];
  return (
    <span className="place">
      <span title={exit}>{shortExitText(proxy)}</span>
      <span className="quiet" title={t('traffic', { down, up })}>
        {bytesText(egress.bytes_down + egress.bytes_up)}
      </span>
    </span>
  );
}

function ProfileCell({
  session: { profile, profile_mode: mode },
}: {
  session: Session;
}): ReactNode {
  const t = useTexts('sessions');
  if (!profile) return <NoValue />;
  return (
    <span className="place">
      <a href={`#${profilePath(profile)}`} title={profile}>
        {profile}
      </a>
      {mode === 'copy' && <span className="quiet">{t('copyOfProfile')}</span>}
    </span>
  );
}

function EngineCell({ session }: { session: Session }): ReactNode {
  const t = useTexts('sessions');
  const { browser, browser_version: version, headless } = session;
  return (
    <span className="place">
      <span>
        {browser}
        {version && ` ${version}`}
      </span>
      {headless && <span className="quiet">{t('headless')}</span>}
    </span>
  );
}

const id: SessionColumn = {
  id: 'session',
  sortBy: (session) => session.id,
  cell: (session) => <SessionIdentity session={session} />,
  fixed: true,
};
const worker: SessionColumn = {
  id: 'worker',
  sortBy: (session) => session.worker,
  cell: (session) => <WorkerCell session={session} />,
  width: 6.5,
};
const engine: SessionColumn = {
  id: 'engine',
  sortBy: ({ browser, browser_version: version }) => `${browser} ${version ?? ''}`,
  cell: (session) => <EngineCell session={session} />,
  width: 8.5,
  wideOnly: true,
};
const exit: SessionColumn = {
  id: 'exit',
  // The second line is what one looks for: who has the most traffic.
  sortBy: (session) => totalBytes(session.egress),
  cell: (session) => <ExitCell session={session} />,
  width: 8,
  wideOnly: true,
};
const labels: SessionColumn = {
  id: 'labels',
  sortBy: (session) => Object.entries(session.labels).flat().join(' '),
  cell: (session) => <Labels labels={session.labels} />,
};
const created: SessionColumn = {
  id: 'created',
  sortBy: (session) => Date.parse(session.created_at),
  cell: (session) => <Ago timestamp={session.created_at} />,
  width: 7,
  wideOnly: true,
};
const restarts: SessionColumn = {
  id: 'restarts',
  sortBy: (session) => session.restarts,
  cell: (session) => session.restarts,
  width: 6,
  wideOnly: true,
};

const profile: SessionColumn = {
  id: 'profile',
  sortBy: (session) => session.profile ?? '',
  cell: (session) => <ProfileCell session={session} />,
  width: 8,
  wideOnly: true,
};

/** The columns of live sessions. */
export const LIVE_COLUMNS: readonly SessionColumn[] = [
  id,
  {
    id: 'status',
    sortBy: (session) => session.status,
    cell: ({ status }) => <StatusBadge status={status} />,
    width: 8.5,
  },
  worker,
  engine,
  {
    id: 'view',
    sortBy: (session) => Number(session.vnc_enabled),
    cell: (session) => <LiveViewCell session={session} />,
    width: 5.5,
    wideOnly: true,
  },
  exit,
  labels,
  created,
  {
    id: 'activity',
    sortBy: (session) => Date.parse(session.last_seen_at),
    cell: (session) => <Ago timestamp={session.last_seen_at} />,
    width: 7,
  },
  {
    id: 'ttl',
    sortBy: deadlineOf,
    cell: (session) =>
      session.status === 'READY' ? <IdleCountdown session={session} /> : <NoValue />,
    width: 5.5,
  },
  {
    id: 'clients',
    sortBy: (session) => session.attached,
    cell: (session) => session.attached,
    width: 5,
  },
  profile,
  restarts,
];

/** The columns of ended sessions. */
export const ENDED_COLUMNS: readonly SessionColumn[] = [
  id,
  {
    id: 'reason',
    sortBy: (session) => session.end_reason ?? '',
    cell: ({ end_reason: reason }) => (
      <span className={endedInOrder(reason) ? 'badge' : 'badge bad'}>{endReasonText(reason)}</span>
    ),
    width: 10.5,
  },
  {
    id: 'detail',
    cell: (session) => session.end_detail ?? <NoValue />,
  },
  worker,
  engine,
  exit,
  labels,
  created,
  {
    id: 'ended',
    sortBy: (session) => Date.parse(endOf(session)),
    cell: (session) => <Ago timestamp={endOf(session)} />,
    width: 7,
  },
  {
    id: 'lived',
    sortBy: (session) => Date.parse(endOf(session)) - Date.parse(session.created_at),
    cell: (session) => durationText(session.created_at, endOf(session)),
    width: 5.5,
  },
  profile,
  restarts,
];

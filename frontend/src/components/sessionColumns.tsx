import type { ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import { durationText, endedInOrder, endReasonText } from './format.ts';
import { Labels, SessionIdentity } from './SessionIdentity.tsx';
import { StatusBadge } from './StatusBadge.tsx';
import { Ago, IdleCountdown } from './Times.tsx';

/** One column of a table of sessions. */
export interface SessionColumn {
  id: string;
  title: string;
  /** What sessions are sorted by in it; without, they can't be. */
  sortBy?: (session: Session) => string | number;
  cell: (session: Session) => ReactNode;
  /** Its width, in rem; those without share what is left. */
  width?: number;
  /** Whether it can't be hidden. */
  fixed?: boolean;
  /** Whether it gives way where the window is not wide enough for all. */
  wideOnly?: boolean;
}

function deadlineOf(session: Session): number {
  return Date.parse(session.last_seen_at) + session.idle_ttl_seconds * 1000;
}

function endOf(session: Session): string {
  return session.ended_at ?? session.last_seen_at;
}

function Nothing(): ReactNode {
  return <span className="quiet">–</span>;
}

function Place({ session }: { session: Session }): ReactNode {
  return (
    <span className="place">
      <span title={session.worker}>{session.worker}</span>
      {session.stale && (
        <span className="badge bad" title="This is what was last known: its worker does not answer">
          stale
        </span>
      )}
    </span>
  );
}

function Engine({ session }: { session: Session }): ReactNode {
  const { browser, browser_version: version, headless } = session;
  return (
    <span className="place">
      <span>
        {browser}
        {version && ` ${version}`}
      </span>
      {headless && <span className="quiet">headless</span>}
    </span>
  );
}

const id: SessionColumn = {
  id: 'session',
  title: 'Session',
  sortBy: (session) => session.id,
  cell: (session) => <SessionIdentity session={session} />,
  fixed: true,
};
const worker: SessionColumn = {
  id: 'worker',
  title: 'Worker',
  sortBy: (session) => session.worker,
  cell: (session) => <Place session={session} />,
  width: 6.5,
};
const engine: SessionColumn = {
  id: 'engine',
  title: 'Engine',
  sortBy: ({ browser, browser_version: version }) => `${browser} ${version ?? ''}`,
  cell: (session) => <Engine session={session} />,
  width: 8.5,
  wideOnly: true,
};
const labels: SessionColumn = {
  id: 'labels',
  title: 'Labels',
  sortBy: (session) => Object.entries(session.labels).flat().join(' '),
  cell: (session) => <Labels labels={session.labels} />,
};
const created: SessionColumn = {
  id: 'created',
  title: 'Created',
  sortBy: (session) => Date.parse(session.created_at),
  cell: (session) => <Ago timestamp={session.created_at} />,
  width: 6,
  wideOnly: true,
};
const restarts: SessionColumn = {
  id: 'restarts',
  title: 'Restarts',
  sortBy: (session) => session.restarts,
  cell: (session) => session.restarts,
  width: 5.5,
  wideOnly: true,
};

/** The columns of live sessions. */
export const LIVE_COLUMNS: readonly SessionColumn[] = [
  id,
  {
    id: 'status',
    title: 'State',
    sortBy: (session) => session.status,
    cell: ({ status }) => <StatusBadge status={status} />,
    width: 7,
  },
  worker,
  engine,
  {
    id: 'view',
    title: 'Live view',
    sortBy: (session) => Number(session.vnc_enabled),
    cell: ({ vnc_enabled: enabled }) => (enabled ? 'yes' : <Nothing />),
    width: 5.5,
    wideOnly: true,
  },
  labels,
  created,
  {
    id: 'activity',
    title: 'Last activity',
    sortBy: (session) => Date.parse(session.last_seen_at),
    cell: (session) => <Ago timestamp={session.last_seen_at} />,
    width: 7,
  },
  {
    id: 'ttl',
    title: 'TTL left',
    sortBy: deadlineOf,
    cell: (session) =>
      session.status === 'READY' ? <IdleCountdown session={session} /> : <Nothing />,
    width: 5.5,
  },
  {
    id: 'clients',
    title: 'Clients',
    sortBy: (session) => session.attached,
    cell: (session) => session.attached,
    width: 5,
  },
  restarts,
];

/** The columns of ended sessions. */
export const ENDED_COLUMNS: readonly SessionColumn[] = [
  id,
  {
    id: 'reason',
    title: 'Reason',
    sortBy: (session) => endReasonText(session.end_reason),
    cell: ({ end_reason: reason }) => (
      <span className={endedInOrder(reason) ? 'badge' : 'badge bad'}>{endReasonText(reason)}</span>
    ),
    width: 10.5,
  },
  {
    id: 'detail',
    title: 'Detail',
    cell: (session) => session.end_detail ?? <Nothing />,
  },
  worker,
  engine,
  labels,
  created,
  {
    id: 'ended',
    title: 'Ended',
    sortBy: (session) => Date.parse(endOf(session)),
    cell: (session) => <Ago timestamp={endOf(session)} />,
    width: 6,
  },
  {
    id: 'lived',
    title: 'Lived',
    sortBy: (session) => Date.parse(endOf(session)) - Date.parse(session.created_at),
    cell: (session) => durationText(session.created_at, endOf(session)),
    width: 5.5,
  },
  restarts,
];

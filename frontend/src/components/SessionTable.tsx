import { memo, type ReactNode } from 'react';

import { webSocketUrl } from '../api/base.ts';
import { errorText } from '../api/client.ts';
import type { Session, SessionStatus } from '../api/types.ts';
import { copyToClipboard } from '../hooks/clipboard.ts';
import { useTouch } from '../hooks/mutations.ts';
import { complain, inform } from '../hooks/useNotices.ts';
import { shortId } from './format.ts';
import { IconButton } from './IconButton.tsx';
import { Labels, SessionIdentity, SessionPlace } from './SessionIdentity.tsx';
import { Ago, IdleCountdown } from './Times.tsx';

const STATUS_TONES: Record<SessionStatus, string> = {
  INIT: 'badge busy',
  READY: 'badge good',
  TERMINATING: 'badge busy',
  DEAD: 'badge bad',
};

interface SessionTableProps {
  sessions: Session[];
  /** The session whose screen is shown, if any. */
  watchedId: string | null;
  onWatch: (session: Session) => void;
  onEnd: (session: Session) => void;
}

/** The living sessions: a table, and on a narrow screen a card for each. */
export function SessionTable({ sessions, ...actions }: SessionTableProps): ReactNode {
  return (
    <div className="table-frame card">
      <table className="sessions" aria-label="Sessions">
        <thead>
          <tr>
            <th scope="col">Session</th>
            <th scope="col">Status</th>
            <th scope="col">Worker</th>
            <th scope="col">Labels</th>
            <th scope="col">Created</th>
            <th scope="col">TTL left</th>
            <th scope="col">Clients</th>
            <th scope="col">Restarts</th>
            <th scope="col">Actions</th>
          </tr>
        </thead>
        <tbody>
          {sessions.map((session) => (
            <SessionRow
              key={session.id}
              session={session}
              watched={session.id === actions.watchedId}
              onWatch={actions.onWatch}
              onEnd={actions.onEnd}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface SessionRowProps extends Pick<SessionTableProps, 'onWatch' | 'onEnd'> {
  session: Session;
  watched: boolean;
}

/** Polls keep the objects of unchanged sessions, so only rows with news render again. */
const SessionRow = memo(function SessionRow(props: SessionRowProps): ReactNode {
  const { session, watched, onWatch, onEnd } = props;
  const { status, attached, restarts } = session;
  return (
    <tr className={watched ? 'watched' : undefined}>
      <td data-label="Session">
        <SessionIdentity session={session} />
      </td>
      <td data-label="Status">
        <span className={STATUS_TONES[status]}>{status}</span>
      </td>
      <td data-label="Worker">
        <SessionPlace session={session} />
      </td>
      <td data-label="Labels">
        <Labels labels={session.labels} />
      </td>
      <td data-label="Created">
        <Ago timestamp={session.created_at} />
      </td>
      <td data-label="TTL left">
        {status === 'READY' ? (
          <IdleCountdown session={session} />
        ) : (
          <span className="quiet">–</span>
        )}
      </td>
      <td data-label="Clients" className="number">
        {attached ?? '–'}
      </td>
      <td data-label="Restarts" className="number">
        {restarts ?? '–'}
      </td>
      <td data-label="Actions">
        <RowActions session={session} onWatch={onWatch} onEnd={onEnd} />
      </td>
    </tr>
  );
});

function RowActions({ session, onWatch, onEnd }: Omit<SessionRowProps, 'watched'>): ReactNode {
  const touch = useTouch();
  const name = shortId(session.id);
  const ready = session.status === 'READY';
  const watchable = session.vnc_enabled && session.vnc.ws !== null;
  return (
    <div className="row-actions">
      <IconButton
        icon="screen"
        label={watchable ? `Live view of ${name}` : `${name} was launched without a live view`}
        disabled={!ready || !watchable}
        onClick={() => {
          onWatch(session);
        }}
      />
      <IconButton
        icon="link"
        label={`Copy WebSocket URL of ${name}`}
        onClick={() =>
          void copyToClipboard(webSocketUrl(session.ws_endpoint).href, `WebSocket URL of ${name}`)
        }
      />
      <IconButton
        icon="touch"
        label={`Touch ${name}`}
        disabled={!ready || touch.isPending}
        onClick={() => {
          touch.mutate(session, {
            onSuccess: () => {
              inform(`Session ${name} touched.`);
            },
            onError: (error) => {
              complain(`Session ${name} was not touched: ${errorText(error)}`);
            },
          });
        }}
      />
      <IconButton
        icon="stop"
        label={`End ${name}`}
        danger
        disabled={session.status === 'TERMINATING' || session.status === 'DEAD'}
        onClick={() => {
          onEnd(session);
        }}
      />
    </div>
  );
}

import type { ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import { durationText, endedInOrder, endReasonText } from './format.ts';
import { Labels, SessionIdentity, SessionPlace } from './SessionIdentity.tsx';
import { Ago } from './Times.tsx';

/** The sessions that are no more, and why. */
export function EndedTable({ sessions }: { sessions: Session[] }): ReactNode {
  return (
    <div className="table-frame card">
      <table className="sessions ended" aria-label="Ended sessions">
        <thead>
          <tr>
            <th scope="col">Session</th>
            <th scope="col">Reason</th>
            <th scope="col">Detail</th>
            <th scope="col">Worker</th>
            <th scope="col">Labels</th>
            <th scope="col">Ended</th>
            <th scope="col">Lived</th>
          </tr>
        </thead>
        <tbody>
          {sessions.map((session) => (
            <EndedRow key={session.id} session={session} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function EndedRow({ session }: { session: Session }): ReactNode {
  const { end_reason: reason, end_detail: detail } = session;
  const endedAt = session.ended_at ?? session.last_seen_at;
  return (
    <tr>
      <td data-label="Session">
        <SessionIdentity session={session} />
      </td>
      <td data-label="Reason">
        <span className={endedInOrder(reason) ? 'badge' : 'badge bad'}>
          {endReasonText(reason)}
        </span>
      </td>
      <td data-label="Detail" className="detail">
        {detail ?? <span className="quiet">–</span>}
      </td>
      <td data-label="Worker">
        <SessionPlace session={session} />
      </td>
      <td data-label="Labels">
        <Labels labels={session.labels} />
      </td>
      <td data-label="Ended">
        <Ago timestamp={endedAt} />
      </td>
      <td data-label="Lived" className="number">
        {durationText(session.created_at, endedAt)}
      </td>
    </tr>
  );
}

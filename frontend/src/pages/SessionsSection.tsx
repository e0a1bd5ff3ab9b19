import type { UseQueryResult } from '@tanstack/react-query';
import { type ReactNode, useCallback, useState } from 'react';

import { apiUrl } from '../api/base.ts';
import { errorText, UnreachableError } from '../api/client.ts';
import type { Session } from '../api/types.ts';
import { EndDialog } from '../components/EndDialog.tsx';
import { EndedTable } from '../components/EndedTable.tsx';
import { shortId } from '../components/format.ts';
import { LivePanel } from '../components/LivePanel.tsx';
import { SessionTable } from '../components/SessionTable.tsx';
import { useEnd } from '../hooks/mutations.ts';
import { useEndedSessions, useSessions } from '../hooks/queries.ts';
import { complain, inform } from '../hooks/useNotices.ts';

interface SessionsSectionProps {
  /** The session whose screen is shown, as it was when its live view was opened. */
  watched: Session | null;
  onWatch: (session: Session | null) => void;
  onLaunch: () => void;
}

/** The sessions: the living, the ended on demand, and the screen of the one being watched. */
export function SessionsSection({ watched, onWatch, onLaunch }: SessionsSectionProps): ReactNode {
  const [showEnded, setShowEnded] = useState(false);
  const [ending, setEnding] = useState<Session | null>(null);
  const sessions = useSessions();
  const ended = useEndedSessions(showEnded);
  const end = useEnd();

  const listed = sessions.data?.find(({ id }) => id === watched?.id);
  const startWatching = useCallback(
    (session: Session) => {
      onWatch(session);
    },
    [onWatch],
  );
  const confirmEnd = (session: Session) => {
    const name = shortId(session.id);
    setEnding(null);
    end.mutate(session, {
      onSuccess: () => {
        inform(`Session ${name} is ending.`);
      },
      onError: (error) => {
        complain(`Session ${name} was not ended: ${errorText(error)}`);
      },
    });
  };

  return (
    <>
      {watched && (
        <LivePanel
          key={watched.id}
          session={listed ?? watched}
          alive={listed !== undefined && listed.status !== 'DEAD'}
          onClose={() => {
            onWatch(null);
          }}
        />
      )}
      <section aria-labelledby="sessions-title">
        <div className="section-header">
          <h2 id="sessions-title">
            Sessions
            {sessions.data && <span className="count">{sessions.data.length}</span>}
          </h2>
          <label className="switch">
            <input
              type="checkbox"
              role="switch"
              checked={showEnded}
              onChange={(event) => {
                setShowEnded(event.target.checked);
              }}
            />
            Show ended
          </label>
        </div>
        <Listing query={sessions} empty={<NoSessions onLaunch={onLaunch} />}>
          {(data) => (
            <SessionTable
              sessions={data}
              watchedId={watched?.id ?? null}
              onWatch={startWatching}
              onEnd={setEnding}
            />
          )}
        </Listing>
      </section>
      {showEnded && (
        <section aria-labelledby="ended-title">
          <div className="section-header">
            <h2 id="ended-title">
              Ended
              {ended.data && <span className="count">{ended.data.length}</span>}
            </h2>
          </div>
          <Listing query={ended} empty={<NoEndedSessions />}>
            {(data) => <EndedTable sessions={data} />}
          </Listing>
        </section>
      )}
      {ending && (
        <EndDialog
          session={ending}
          onConfirm={() => {
            confirmEnd(ending);
          }}
          onClose={() => {
            setEnding(null);
          }}
        />
      )}
    </>
  );
}

interface ListingProps {
  query: UseQueryResult<Session[]>;
  empty: ReactNode;
  children: (sessions: Session[]) => ReactNode;
}

/** A list in each of its states: being loaded, refused, empty, there. */
function Listing({ query, empty, children }: ListingProps): ReactNode {
  const { data, error } = query;
  // That the API is out of reach is said once, above everything.
  const refusal = error && !(error instanceof UnreachableError) ? errorText(error) : null;
  return (
    <>
      {refusal !== null && (
        <p className="banner" role="alert">
          {refusal}
        </p>
      )}
      {data && (data.length > 0 ? children(data) : empty)}
      {!data && !error && <p className="empty card">Loading…</p>}
    </>
  );
}

function NoSessions({ onLaunch }: { onLaunch: () => void }): ReactNode {
  return (
    <div className="empty card">
      <h3>No session is running</h3>
      <p>
        Launch one here, or <code>POST {apiUrl('sessions').href}</code>. Then copy its WebSocket URL
        and attach Playwright with <code>firefox.connect(url)</code>.
      </p>
      <button type="button" className="button primary" onClick={onLaunch}>
        Launch the first session
      </button>
    </div>
  );
}

function NoEndedSessions(): ReactNode {
  return (
    <div className="empty card">
      <h3>Nothing has ended yet</h3>
      <p>
        Sessions that end, by request, by their idle TTL or by a failure, are listed here with the
        reason.
      </p>
    </div>
  );
}

import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useEffect, useState } from 'react';
import { Link, Route, Routes } from 'react-router';

import { access } from './api/token.ts';
import type { Session } from './api/types.ts';
import { ConnectionState } from './components/ConnectionState.tsx';
import { FleetHealth } from './components/FleetHealth.tsx';
import { shortId } from './components/format.ts';
import { Icon } from './components/icons.tsx';
import { LaunchDialog } from './components/LaunchDialog.tsx';
import { Notices } from './components/Notices.tsx';
import { OfflineNote } from './components/OfflineNote.tsx';
import { TokenForm } from './components/TokenForm.tsx';
import { useFleet, useLiveFleet } from './hooks/fleet.ts';
import { queryKeys } from './hooks/queries.ts';
import { dismissAll, inform } from './hooks/useNotices.ts';
import { useStore } from './hooks/useStore.ts';
import { NoSuchPage } from './pages/NoSuchPage.tsx';
import { SessionPage } from './pages/SessionPage.tsx';
import { SessionsPage } from './pages/SessionsPage.tsx';

/** The panel: what all pages share, and the page that the address names. */
export function Panel(): ReactNode {
  const [launching, setLaunching] = useState(false);
  const { token, refused } = useStore(access);
  const { store, feed } = useLiveFleet();
  const { workers } = useFleet();
  const client = useQueryClient();

  useEffect(() => {
    if (refused) return;
    feed.start();
    return () => {
      feed.stop();
    };
  }, [feed, token, refused]);

  useEffect(
    () =>
      feed.onSession(({ change, session }) => {
        if (change === 'touched') return;
        void client.invalidateQueries({ queryKey: queryKeys.history(session) });
        if (change !== 'ended' && change !== 'forgotten') return;
        void client.invalidateQueries({ queryKey: queryKeys.endedSessions });
        void client.invalidateQueries({ queryKey: queryKeys.session(session) });
      }),
    [feed, client],
  );

  const startOver = () => {
    // What was read with the other token is not for this one's eyes.
    store.clear();
    client.clear();
    dismissAll();
  };

  const launched = (session: Session) => {
    setLaunching(false);
    inform(`Session ${shortId(session.id)} launched on ${session.worker}.`);
  };
  const launch = () => {
    setLaunching(true);
  };

  return (
    <>
      <header className="top">
        <h1>
          <Link to="/">camofleet</Link>
        </h1>
        {!refused && (
          <>
            <FleetHealth />
            <ConnectionState />
            <div className="top-actions">
              {token !== null && (
                <button
                  type="button"
                  className="button"
                  onClick={() => {
                    access.forget();
                    startOver();
                  }}
                >
                  Forget token
                </button>
              )}
              <button type="button" className="button primary" onClick={launch}>
                <Icon name="plus" />
                <span>
                  Launch <span className="off-phone">session</span>
                </span>
              </button>
            </div>
          </>
        )}
      </header>
      <main>
        {refused ? (
          <TokenForm onAccept={startOver} />
        ) : (
          <>
            <OfflineNote />
            <Routes>
              <Route index element={<SessionsPage onLaunch={launch} />} />
              <Route path="/sessions/:worker/:id" element={<SessionPage />} />
              <Route path="*" element={<NoSuchPage />} />
            </Routes>
          </>
        )}
      </main>
      {launching && !refused && (
        <LaunchDialog
          workers={workers}
          onLaunched={launched}
          onClose={() => {
            setLaunching(false);
          }}
        />
      )}
      <Notices />
    </>
  );
}

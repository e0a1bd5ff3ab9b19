import { useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';

import { access } from '../api/token.ts';
import type { Session } from '../api/types.ts';
import { FleetHealth } from '../components/FleetHealth.tsx';
import { Icon } from '../components/icons.tsx';
import { LaunchDialog } from '../components/LaunchDialog.tsx';
import { Notices } from '../components/Notices.tsx';
import { OfflineNote } from '../components/OfflineNote.tsx';
import { shortId } from '../components/format.ts';
import { TokenForm } from '../components/TokenForm.tsx';
import { useFleetHealth } from '../hooks/queries.ts';
import { dismissAll, inform } from '../hooks/useNotices.ts';
import { useStore } from '../hooks/useStore.ts';
import { SessionsSection } from './SessionsSection.tsx';

/** The panel: the fleet's health, its sessions, and what can be done with them. */
export function PanelPage(): ReactNode {
  const [launching, setLaunching] = useState(false);
  const [watched, setWatched] = useState<Session | null>(null);
  const { token, refused } = useStore(access);
  const health = useFleetHealth();
  const client = useQueryClient();

  const startOver = () => {
    // What was read with the other token is not for this one's eyes.
    void client.resetQueries();
    dismissAll();
    setWatched(null);
  };

  const launched = (session: Session) => {
    setLaunching(false);
    inform(`Session ${shortId(session.id)} launched on ${session.worker}.`);
  };

  return (
    <>
      <header className="top">
        <h1>camofleet</h1>
        {!refused && <FleetHealth health={health.data} />}
        {!refused && (
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
            <button
              type="button"
              className="button primary"
              onClick={() => {
                setLaunching(true);
              }}
            >
              <Icon name="plus" />
              <span>
                Launch <span className="off-phone">session</span>
              </span>
            </button>
          </div>
        )}
      </header>
      <main>
        <OfflineNote />
        {refused ? (
          <TokenForm onAccept={startOver} />
        ) : (
          <SessionsSection
            watched={watched}
            onWatch={setWatched}
            onLaunch={() => {
              setLaunching(true);
            }}
          />
        )}
      </main>
      {launching && !refused && (
        <LaunchDialog
          workers={health.data?.workers ?? []}
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

import { useQueryClient } from '@tanstack/react-query';
import { lazy, type ReactNode, Suspense, useCallback, useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Route, Routes } from 'react-router';

import { access } from '../api/token.ts';
import { LaunchCards } from '../launch/LaunchCards.tsx';
import type { LaunchDraft } from '../live/launchDraft.ts';
import type { Change } from '../api/types.ts';
import { forgettable } from '../lib/forgettable.ts';
import type { LaunchStart } from '../launch/LaunchDialog.tsx';
import { Notices } from '../ui/Notices.tsx';
import { OfflineNote } from './OfflineNote.tsx';
import { OpenAccessWarning } from './OpenAccessWarning.tsx';
import { TokenForm } from './TokenForm.tsx';
import { TopBar } from './TopBar.tsx';
import { useFleet, useLiveFleet } from '../hooks/fleet.ts';
import { queryKeys } from '../hooks/queries.ts';
import { dismissAll } from '../ui/notices.ts';
import { useStore } from '../lib/useStore.ts';
import { NoSuchPage } from '../pages/NoSuchPage.tsx';
import { SessionsPage } from '../pages/SessionsPage.tsx';
import { useUnpinEnded } from '../sessions/pins.ts';

// Loaded on demand: most visits begin with the list of sessions.
const SessionPage = lazy(async () => ({
  default: (await import('../pages/SessionPage.tsx')).SessionPage,
}));
const importLaunchDialog = () => import('../launch/LaunchDialog.tsx');
const LaunchDialog = lazy(async () => ({ default: (await importLaunchDialog()).LaunchDialog }));
const WallPage = lazy(async () => ({ default: (await import('../pages/WallPage.tsx')).WallPage }));
const ProfilesPage = lazy(async () => ({
  default: (await import('../pages/ProfilesPage.tsx')).ProfilesPage,
}));
const WorkersPage = lazy(async () => ({
  default: (await import('../pages/WorkersPage.tsx')).WorkersPage,
}));
const FleetPage = lazy(async () => ({
  default: (await import('../pages/FleetPage.tsx')).FleetPage,
}));

/** The events of a session with which its profile gets another user, or none. */
const USES_PROFILES: ReadonlySet<Change> = new Set(['created', 'ready', 'ended', 'forgotten']);

/** The panel: the frame around all pages, and the page of the current address. */
export function Panel(): ReactNode {
  const { t } = useTranslation();
  const [launchForm, setLaunchForm] = useState<LaunchStart | null>(null);
  const { token, refused } = useStore(access);
  const { store, feed, launches } = useLiveFleet();
  const { workers } = useFleet();
  const client = useQueryClient();
  useUnpinEnded();

  useEffect(() => {
    // After the first page has been shown, so that the form opens at once. A failure is repeated when it is needed.
    void importLaunchDialog().catch(() => undefined);
  }, []);

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
        // Who uses a profile changes with its sessions.
        if (session.profile && USES_PROFILES.has(change)) {
          void client.invalidateQueries({ queryKey: queryKeys.profiles });
        }
        void client.invalidateQueries({ queryKey: queryKeys.history(session) });
        if (change !== 'ended' && change !== 'forgotten') return;
        void client.invalidateQueries({ queryKey: queryKeys.endedSessions });
        void client.invalidateQueries({ queryKey: queryKeys.session(session) });
      }),
    [feed, client],
  );

  const startOver = () => {
    // Data that was read with the other token must not stay visible.
    store.clear();
    launches.clear();
    client.clear();
    for (const forget of forgettable) forget();
    dismissAll();
  };

  const launch = () => {
    setLaunchForm({ draft: null });
  };
  const launchProfile = useCallback((fields: Partial<LaunchDraft>) => {
    setLaunchForm({ draft: null, fields });
  }, []);
  const closeForm = useCallback(() => {
    setLaunchForm(null);
  }, []);

  return (
    <>
      <TopBar
        signedOut={refused}
        onLaunch={launch}
        onForgetToken={
          token === null
            ? null
            : () => {
                access.forget();
                startOver();
              }
        }
      />
      <main>
        {refused ? (
          <TokenForm onAccept={startOver} />
        ) : (
          <>
            <OfflineNote />
            <OpenAccessWarning />
            <Suspense fallback={<p className="empty card">{t('loading')}</p>}>
              <Routes>
                <Route index element={<SessionsPage onLaunch={launch} />} />
                <Route path="/wall" element={<WallPage onLaunch={launch} />} />
                <Route path="/sessions/:worker/:id" element={<SessionPage />} />
                <Route path="/profiles" element={<ProfilesPage onLaunch={launchProfile} />} />
                <Route path="/workers" element={<WorkersPage />} />
                <Route path="/fleet" element={<FleetPage />} />
                <Route path="*" element={<NoSuchPage />} />
              </Routes>
            </Suspense>
          </>
        )}
      </main>
      {launchForm && !refused && (
        <Suspense fallback={null}>
          <LaunchDialog workers={workers} start={launchForm} onClose={closeForm} />
        </Suspense>
      )}
      <div className="corner">
        {/* The open form shows the progress of its own launch. */}
        {!launchForm && (
          <LaunchCards
            onForm={(draft) => {
              setLaunchForm({ draft });
            }}
          />
        )}
        <Notices />
      </div>
    </>
  );
}

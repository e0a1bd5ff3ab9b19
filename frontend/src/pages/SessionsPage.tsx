import type { RowSelectionState } from '@tanstack/react-table';
import { type ReactNode, useCallback, useDeferredValue, useMemo, useState } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { apiUrl } from '../api/base.ts';
import { errorText, UnreachableError } from '../api/client.ts';
import { filterSessions, NO_FILTER } from '../sessions/sessionFilter.ts';
import type { Session } from '../api/types.ts';
import { EndDialog } from '../sessions/EndDialog.tsx';
import { LivePanel } from '../sessions/LivePanel.tsx';
import { ENDED_COLUMNS, LIVE_COLUMNS } from '../sessions/sessionColumns.tsx';
import { SessionFilters } from '../sessions/SessionFilters.tsx';
import { SessionTable } from '../sessions/SessionTable.tsx';
import { useEndSessions, useTouchSession } from '../sessions/useSessionCommands.ts';
import { useFleet } from '../hooks/fleet.ts';
import { useListTraffic } from '../hooks/useListTraffic.ts';
import { useEndedSessions } from '../hooks/queries.ts';
import { endedLayout, liveLayout } from '../sessions/tableLayout.ts';
import { EmptyList } from '../ui/EmptyList.tsx';
import { useAddressFilter } from '../ui/useAddressFilter.ts';
import { usePageTitle } from '../ui/usePageTitle.ts';
import { useStore } from '../lib/useStore.ts';
import { sessionKey } from '../live/fleetStore.ts';
import { PinnedPreviews } from '../wall/PinnedPreviews.tsx';

const NO_SESSIONS: readonly Session[] = [];

/** The live sessions of the fleet, or the most recently ended ones. */
export function SessionsPage({ onLaunch }: { onLaunch: () => void }): ReactNode {
  const { t } = useTranslation('sessions');
  const [showEnded, setShowEnded] = useState(false);
  const [filter, setFilter] = useAddressFilter(NO_FILTER, 'worker', 'worker');
  const [selected, setSelected] = useState<RowSelectionState>({});
  const [ending, setEnding] = useState<readonly Session[]>([]);
  const [watched, setWatched] = useState<Session | null>(null);
  const { known, sessions: live, byKey } = useFleet();
  const ended = useEndedSessions(showEnded);
  const endSessions = useEndSessions();
  const { touch } = useTouchSession();
  const layout = showEnded ? endedLayout : liveLayout;
  const arranged = useStore(layout);
  useListTraffic(!showEnded && !arranged.hidden.includes('exit'));
  const title = showEnded ? t('endedTitle') : t('title');
  usePageTitle(title);

  const all = showEnded ? (ended.data ?? NO_SESSIONS) : live;
  // Deferred, so that typing stays responsive with five thousand rows.
  const applied = useDeferredValue(filter);
  const shown = useMemo(() => filterSessions(all, applied), [all, applied]);
  const chosen = useMemo(
    () => shown.filter((session) => selected[sessionKey(session)] === true),
    [shown, selected],
  );
  const end = useCallback((session: Session) => {
    setEnding([session]);
  }, []);
  const columns = showEnded ? ENDED_COLUMNS : LIVE_COLUMNS;
  const setLayout = useCallback(
    (changed: typeof arranged) => {
      layout.set(changed);
    },
    [layout],
  );
  const watchedNow = watched && byKey.get(sessionKey(watched));

  return (
    <>
      {watched && (
        <LivePanel
          key={watched.id}
          session={watchedNow ?? watched}
          alive={watchedNow !== undefined && watchedNow?.status !== 'DEAD'}
          onClose={() => {
            setWatched(null);
          }}
        />
      )}
      <PinnedPreviews onEnd={end} />
      <section aria-labelledby="sessions-title">
        <div className="section-header">
          <h2 id="sessions-title">
            {title}
            <span className="count">
              {shown.length === all.length
                ? t('count', { count: all.length })
                : t('countOf', { shown: shown.length, count: all.length })}
            </span>
          </h2>
          <label className="switch">
            <input
              type="checkbox"
              role="switch"
              checked={showEnded}
              onChange={(event) => {
                setShowEnded(event.target.checked);
                setSelected({});
              }}
            />
            {t('showEnded')}
          </label>
        </div>
        <SessionFilters
          sessions={all}
          filter={filter}
          onFilter={setFilter}
          columns={columns}
          layout={arranged}
          onLayout={setLayout}
          withState={!showEnded}
        />
        {chosen.length > 0 && (
          <div className="selection card" role="status">
            <span>{t('selection.count', { count: chosen.length })}</span>
            <button
              type="button"
              className="button small danger"
              onClick={() => {
                setEnding(chosen);
              }}
            >
              {t('selection.end')}
            </button>
            <button
              type="button"
              className="button small"
              onClick={() => {
                setSelected({});
              }}
            >
              {t('selection.clear')}
            </button>
          </div>
        )}
        {showEnded && ended.error && !(ended.error instanceof UnreachableError) && (
          <p className="banner" role="alert">
            {errorText(ended.error)}
          </p>
        )}
        {shown.length > 0 ? (
          <SessionTable
            key={String(showEnded)}
            name={title}
            sessions={shown}
            columns={columns}
            layout={arranged}
            onLayout={setLayout}
            {...(!showEnded && {
              selection: { selected, onSelect: setSelected },
              actions: { onWatch: setWatched, onTouch: touch, onEnd: end },
              watchedId: watched?.id ?? null,
            })}
          />
        ) : (
          <EmptyList
            waiting={showEnded ? ended.isPending : !known}
            hidden={all.length}
            noMatch={{
              title: t('noMatch.title'),
              text: t('noMatch.text', { count: all.length }),
              clear: t('noMatch.clear'),
            }}
            onClear={() => {
              setFilter(NO_FILTER);
            }}
          >
            {showEnded ? <NoEndedSessions /> : <NoSessions onLaunch={onLaunch} />}
          </EmptyList>
        )}
      </section>
      {ending.length > 0 && (
        <EndDialog
          sessions={ending}
          onConfirm={() => {
            setEnding([]);
            setSelected({});
            void endSessions(ending);
          }}
          onClose={() => {
            setEnding([]);
          }}
        />
      )}
    </>
  );
}

function NoEndedSessions(): ReactNode {
  const { t } = useTranslation('sessions');
  return (
    <>
      <h3>{t('noneEnded.title')}</h3>
      <p>{t('noneEnded.text')}</p>
    </>
  );
}

/** What is said when no session is running, with the possible next step. */
function NoSessions({ onLaunch }: { onLaunch: () => void }): ReactNode {
  const { t } = useTranslation('sessions');
  return (
    <>
      <h3>{t('none.title')}</h3>
      <p>
        <Trans
          t={t}
          i18nKey="none.text"
          values={{ url: apiUrl('sessions').href }}
          components={{ code: <code /> }}
        />
      </p>
      <button type="button" className="button primary" onClick={onLaunch}>
        {t('none.launch')}
      </button>
    </>
  );
}

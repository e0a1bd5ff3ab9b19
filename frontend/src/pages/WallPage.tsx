import { type ReactNode, useMemo, useState } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { apiUrl } from '../api/base.ts';
import { filterSessions, isFiltering, NO_FILTER } from '../sessions/sessionFilter.ts';
import type { Session } from '../api/types.ts';
import { EndDialog } from '../sessions/EndDialog.tsx';
import { LabelFilter, WorkerFilter } from '../sessions/SessionFilters.tsx';
import { ClearButton } from '../ui/ClearButton.tsx';
import { EmptyList } from '../ui/EmptyList.tsx';
import { Icon } from '../ui/icons.tsx';
import { useFleet } from '../hooks/fleet.ts';
import { useEndSessions } from '../sessions/useSessionCommands.ts';
import { useFullWindow } from '../ui/useFullWindow.ts';
import { useHotkeys } from '../ui/useHotkeys.ts';
import { usePageTitle } from '../ui/usePageTitle.ts';
import { useStore } from '../lib/useStore.ts';
import { sessionKey } from '../live/fleetStore.ts';
import { wallLayout } from '../wall/preferences.ts';
import { useLiveTiles } from '../wall/liveTiles.ts';
import { pageOf } from '../wall/order.ts';
import { ScreenTile } from '../wall/ScreenTile.tsx';
import { useWall } from '../wall/useWall.ts';
import { LayoutChoice, Pager } from '../wall/WallBar.tsx';

/** The screens of the fleet as tiles, on pages. */
export function WallPage({ onLaunch }: { onLaunch: () => void }): ReactNode {
  const { t } = useTranslation('wall');
  usePageTitle(t('title'));
  const { known } = useFleet();
  const layout = useStore(wallLayout);
  const { screens, newestFirst, sort } = useWall();
  const [filter, setFilter] = useState(NO_FILTER);
  const [wanted, setWanted] = useState(0);
  const [ending, setEnding] = useState<Session | null>(null);
  const [full, setFull] = useFullWindow();
  const { live, requests, stopAll } = useLiveTiles();
  const endSessions = useEndSessions();
  const matching = useMemo(() => filterSessions(screens, filter), [screens, filter]);
  const { page, pages, shown } = pageOf(matching, layout, wanted);
  const leaveFull = () => {
    setFull(false);
  };
  const clear = () => {
    setFilter(NO_FILTER);
  };
  const common = { items: screens, filter, onFilter: setFilter };
  useHotkeys({
    ArrowLeft:
      page > 0
        ? () => {
            setWanted(page - 1);
          }
        : undefined,
    ArrowRight:
      page < pages - 1
        ? () => {
            setWanted(page + 1);
          }
        : undefined,
    Escape: live.length > 0 ? stopAll : full ? leaveFull : undefined,
  });

  return (
    <section className="wall" aria-labelledby="wall-title">
      <div className="section-header">
        <h2 id="wall-title">
          {t('title')}
          <span className="count">{t('screens', { count: matching.length })}</span>
        </h2>
        <Pager page={page} pages={pages} onTurn={setWanted} />
        {screens.length > 0 && (
          <button
            type="button"
            className="button small"
            onClick={() => {
              setFull(!full);
            }}
          >
            <Icon name={full ? 'close' : 'expand'} />
            {t(full ? 'leaveFull' : 'full')}
          </button>
        )}
      </div>
      {screens.length > 0 && !full && (
        <search className="filters wall-filters">
          <LayoutChoice
            layout={layout}
            onChoose={(chosen) => {
              // The first tile of the page stays on the page.
              setWanted(Math.floor((page * layout) / chosen));
              wallLayout.set(chosen);
            }}
          />
          <WorkerFilter {...common} label={t('worker')} all={t('allWorkers')} />
          <LabelFilter {...common} label={t('label')} all={t('allLabels')} />
          {isFiltering(filter) && <ClearButton text={t('empty.clear')} onClear={clear} />}
          {!newestFirst && (
            <button
              type="button"
              className="button small"
              title={t('newestFirstHint')}
              onClick={sort}
            >
              {t('newestFirst')}
            </button>
          )}
          <p className="hint">
            <span className="for-pointers">{t('hint')}</span>
            <span className="for-fingers">{t('hintForFingers')}</span>
          </p>
        </search>
      )}
      {shown.length > 0 ? (
        <ul className="wall-grid" data-tiles={layout}>
          {shown.map((session) => {
            const key = sessionKey(session);
            return (
              <li key={key}>
                <ScreenTile
                  session={session}
                  live={live.find((tile) => tile.key === key)}
                  requests={requests}
                  onEnd={setEnding}
                />
              </li>
            );
          })}
        </ul>
      ) : (
        <EmptyList
          waiting={!known}
          hidden={screens.length}
          noMatch={{
            title: t('empty.noMatch'),
            text: t('empty.noMatchText', { count: screens.length }),
            clear: t('empty.clear'),
          }}
          onClear={clear}
        >
          <NoScreens onLaunch={onLaunch} />
        </EmptyList>
      )}
      {ending && (
        <EndDialog
          sessions={[ending]}
          onConfirm={() => {
            setEnding(null);
            void endSessions([ending]);
          }}
          onClose={() => {
            setEnding(null);
          }}
        />
      )}
    </section>
  );
}

/** What is said when no session has a screen, with the possible next step. */
function NoScreens({ onLaunch }: { onLaunch: () => void }): ReactNode {
  const { t } = useTranslation('wall');
  const { workers } = useFleet();
  const possible = workers.some(({ supports_vnc: can }) => can) || workers.length === 0;
  return (
    <>
      <h3>{t('empty.title')}</h3>
      {possible ? (
        <>
          <p>
            <Trans
              t={t}
              i18nKey="empty.text"
              values={{ address: apiUrl('sessions').href, body: '{"vnc": true}' }}
              components={{ code: <code /> }}
            />
          </p>
          <button type="button" className="button primary" onClick={onLaunch}>
            {t('empty.launch')}
          </button>
        </>
      ) : (
        <p>{t('empty.impossible')}</p>
      )}
    </>
  );
}

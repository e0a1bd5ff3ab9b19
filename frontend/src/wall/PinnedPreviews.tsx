import { type ReactNode, useId, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Session } from '../api/types.ts';
import { useFleet } from '../hooks/fleet.ts';
import { useHotkeys } from '../ui/useHotkeys.ts';
import { useStore } from '../lib/useStore.ts';
import { sessionKey } from '../live/fleetStore.ts';
import { previewsOpen } from './preferences.ts';
import { useLiveTiles } from './liveTiles.ts';
import { hasScreen } from './order.ts';
import { pins } from '../sessions/pins.ts';
import { ScreenTile } from './ScreenTile.tsx';

/** The pinned screens as small tiles beside the table; nothing if there are none. */
export function PinnedPreviews({ onEnd }: { onEnd: (session: Session) => void }): ReactNode {
  const { t } = useTranslation('wall');
  const { byKey } = useFleet();
  const pinned = useStore(pins);
  const open = useStore(previewsOpen);
  const { live, requests, stopAll } = useLiveTiles();
  const titleId = useId();
  const listId = useId();
  const sessions = useMemo(
    () => pinned.flatMap((pin) => byKey.get(pin) ?? []).filter(hasScreen),
    [pinned, byKey],
  );
  useHotkeys({ Escape: live.length > 0 ? stopAll : undefined });

  if (sessions.length === 0) return null;
  return (
    <aside className={open ? 'pinned open' : 'pinned'} aria-labelledby={titleId}>
      <div className="pinned-header">
        <h3 id={titleId}>
          {t('pinned.title')}
          <span className="count">{sessions.length}</span>
        </h3>
        <button
          type="button"
          className="button small"
          aria-expanded={open}
          aria-controls={listId}
          onClick={() => {
            previewsOpen.set(!open);
          }}
        >
          {t(open ? 'pinned.hide' : 'pinned.show')}
        </button>
      </div>
      <ul id={listId} className="pinned-list" hidden={!open}>
        {open &&
          sessions.map((session) => {
            const key = sessionKey(session);
            return (
              <li key={key}>
                <ScreenTile
                  session={session}
                  live={live.find((tile) => tile.key === key)}
                  requests={requests}
                  onEnd={onEnd}
                />
              </li>
            );
          })}
      </ul>
    </aside>
  );
}

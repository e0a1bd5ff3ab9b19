import { lazy, memo, type ReactNode, Suspense, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';

import { liveViewUrl } from '../api/base.ts';
import { labelText } from '../sessions/sessionFilter.ts';
import { access } from '../api/token.ts';
import type { Session } from '../api/types.ts';
import { shortId } from '../sessions/sessionText.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { Icon } from '../ui/icons.tsx';
import { StatusBadge } from '../sessions/StatusBadge.tsx';
import { IdleCountdown } from '../sessions/IdleCountdown.tsx';
import { useStore } from '../lib/useStore.ts';
import { sessionKey } from '../live/fleetStore.ts';
import { sessionPath } from '../sessions/sessionPath.ts';
import type { LiveRequests, LiveTile } from './liveTiles.ts';
import { PinButton } from '../sessions/PinButton.tsx';
import { useScreenshot } from './useScreenshot.ts';

const ViewOnlyViewer = lazy(() => import('../vnc/ViewOnlyViewer.tsx'));

/** How long a pointer must rest on a tile before it goes live, in ms. */
export const HOVER_MS = 300;

interface ScreenTileProps {
  session: Session;
  /** The tile's live state; undefined while it shows a screenshot. */
  live: LiveTile | undefined;
  requests: LiveRequests;
  onEnd: (session: Session) => void;
}

/**
 * A session's screen as a tile: a screenshot, renewed every second, that can become a live view; and the
 * session's main properties.
 */
export const ScreenTile = memo(function ScreenTile(props: ScreenTileProps): ReactNode {
  const { session, live, requests, onEnd } = props;
  const { t } = useTranslation('wall');
  const id = shortId(session.id);
  const labels = Object.entries(session.labels).map(labelText).join(' · ');
  return (
    <article className="tile card" aria-label={t('tile.title', { id })}>
      <TileScreen session={session} live={live} requests={requests} />
      <div className="tile-caption">
        <div className="tile-line">
          <Link to={sessionPath(session)} title={t('tile.open', { id })}>
            <code>{id}</code>
          </Link>
          <span className="tile-worker quiet" title={session.worker}>
            {session.worker}
          </span>
          <span className="tile-actions">
            <PinButton session={session} />
            <IconButton
              icon="stop"
              label={t('tile.end', { id })}
              danger
              disabled={session.status === 'TERMINATING'}
              onClick={() => {
                onEnd(session);
              }}
            />
          </span>
        </div>
        <div className="tile-line tile-facts">
          <span className="tile-labels quiet" title={labels}>
            {labels}
          </span>
          <span className="tile-clients" title={t('tile.clients', { count: session.attached })}>
            <Icon name="link" />
            <span aria-hidden="true">{session.attached}</span>
            <span className="visually-hidden">
              {t('tile.clients', { count: session.attached })}
            </span>
          </span>
          {session.status === 'READY' && <IdleCountdown session={session} />}
        </div>
      </div>
    </article>
  );
});

type TileScreenProps = Pick<ScreenTileProps, 'session' | 'live' | 'requests'>;

function TileScreen({ session, live, requests }: TileScreenProps): ReactNode {
  const { t } = useTranslation('wall');
  const { token } = useStore(access);
  const screen = useRef<HTMLDivElement>(null);
  const hoverTimer = useRef<number | undefined>(undefined);
  const key = sessionKey(session);
  const id = shortId(session.id);
  const address = session.status === 'READY' && !session.stale ? session.vnc.ws : null;
  const isLive = live !== undefined && address !== null;
  const { url, problem } = useScreenshot(session, screen, address !== null && !isLive);
  const { onHover, onLeave, onPress, onStop } = requests;
  const reason = isLive
    ? null
    : session.stale
      ? t('tile.stale')
      : address !== null
        ? problem
        : null;

  useEffect(
    () => () => {
      window.clearTimeout(hoverTimer.current);
      onStop(key);
    },
    [key, onStop],
  );

  return (
    <div
      ref={screen}
      className={reason === null && address !== null ? 'tile-screen' : 'tile-screen dimmed'}
      data-state={isLive ? 'live' : 'picture'}
      onPointerEnter={({ pointerType }) => {
        // Touch has no hover; a tap is a click.
        if (pointerType === 'touch') return;
        hoverTimer.current = window.setTimeout(() => {
          onHover(key);
        }, HOVER_MS);
      }}
      onPointerLeave={() => {
        window.clearTimeout(hoverTimer.current);
        onLeave(key);
      }}
    >
      {url !== null && <img src={url} alt={t('tile.picture', { id })} />}
      {isLive && (
        <Suspense fallback={null}>
          <ViewOnlyViewer sessionId={session.id} url={liveViewUrl(address, token).href} />
        </Suspense>
      )}
      {/* Covers the screen, so that its canvas gets neither clicks nor wheel events. */}
      {address !== null && (
        <button
          type="button"
          className="tile-cover"
          aria-label={t('tile.watch', { id })}
          aria-pressed={live?.kept ?? false}
          onClick={() => {
            window.clearTimeout(hoverTimer.current);
            onPress(key);
          }}
        />
      )}
      <span className="tile-marks">
        {session.status !== 'READY' && <StatusBadge status={session.status} />}
        {isLive && <span className="badge good">{t(live.kept ? 'tile.kept' : 'tile.live')}</span>}
      </span>
      {!isLive && <TileNote session={session} problem={reason} waiting={url === null} />}
    </div>
  );
}

interface TileNoteProps {
  session: Session;
  /** Why the screenshot is not current. */
  problem: string | null;
  /** Whether there is no screenshot yet. */
  waiting: boolean;
}

/** Explains why a tile does not show the current screen. */
function TileNote({ session, problem, waiting }: TileNoteProps): ReactNode {
  const { t } = useTranslation('wall');
  let text: string | null = waiting ? t('tile.waiting') : null;
  if (problem !== null) text = problem;
  else if (session.status === 'INIT') {
    text = t(session.restarts > 0 ? 'tile.restarting' : 'tile.starting');
  } else if (session.status === 'TERMINATING') text = t('tile.ending');
  if (text === null) return null;
  return (
    <p className="tile-note" role="status">
      {text}
    </p>
  );
}

import type { ReactNode } from 'react';

import { webSocketUrl } from '../api/base.ts';
import type { Session } from '../api/types.ts';
import { copyToClipboard } from '../ui/clipboard.ts';
import { PinButton } from './PinButton.tsx';
import { shortId } from './sessionText.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { useTexts } from '../i18n/useTexts.ts';

/** Handlers of a row's actions. */
export interface RowCallbacks {
  onWatch: (session: Session) => void;
  onTouch: (session: Session) => void;
  onEnd: (session: Session) => void;
}

/** The actions on a live session, as buttons. */
export function RowActions({
  session,
  onWatch,
  onTouch,
  onEnd,
}: { session: Session } & RowCallbacks): ReactNode {
  const t = useTexts('sessions');
  const id = shortId(session.id);
  const ready = session.status === 'READY';
  const watchable = session.vnc_enabled && session.vnc.ws !== null;
  return (
    <div className="row-actions">
      <IconButton
        icon="screen"
        label={watchable ? t('actions.watch', { id }) : t('actions.unwatchable', { id })}
        disabled={!ready || !watchable}
        onClick={() => {
          onWatch(session);
        }}
      />
      <PinButton session={session} />
      <IconButton
        icon="link"
        label={t('actions.copyUrl', { id })}
        onClick={() =>
          void copyToClipboard(webSocketUrl(session.ws_endpoint).href, t('actions.url', { id }))
        }
      />
      <IconButton
        icon="touch"
        label={t('actions.touch', { id })}
        disabled={!ready}
        onClick={() => {
          onTouch(session);
        }}
      />
      <IconButton
        icon="stop"
        label={t('actions.end', { id })}
        danger
        disabled={session.status === 'TERMINATING' || session.status === 'DEAD'}
        onClick={() => {
          onEnd(session);
        }}
      />
    </div>
  );
}

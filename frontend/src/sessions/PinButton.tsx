import type { ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import { shortId } from './sessionText.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { Icon } from '../ui/icons.tsx';
import { togglePin, usePinned } from './pins.ts';
import { useTexts } from '../i18n/useTexts.ts';

/** Pins a session: its screen is first on the wall and shown beside the table. */
export function PinButton({ session }: { session: Session }): ReactNode {
  const t = useTexts('wall');
  const pinned = usePinned(session);
  const id = shortId(session.id);
  return (
    <IconButton
      icon="pin"
      label={session.vnc_enabled ? t('pin.of', { id }) : t('pin.noScreen', { id })}
      disabled={!session.vnc_enabled}
      pressed={pinned}
      onClick={() => {
        togglePin(session);
      }}
    />
  );
}

/** The same button with its title. */
export function PinTextButton({ session }: { session: Session }): ReactNode {
  const t = useTexts('wall');
  const pinned = usePinned(session);
  if (!session.vnc_enabled) return null;
  return (
    <button
      type="button"
      className="button pin"
      aria-pressed={pinned}
      onClick={() => {
        togglePin(session);
      }}
    >
      <Icon name="pin" />
      {t('pin.title')}
    </button>
  );
}

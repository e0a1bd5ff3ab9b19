import { type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Session } from '../api/types.ts';
import { useEndSessions, useTouchSession } from './useSessionCommands.ts';
import { PinTextButton } from './PinButton.tsx';
import { EndDialog } from './EndDialog.tsx';
import { Icon } from '../ui/icons.tsx';

/** The actions on a live session: pin, touch, and end after a confirmation. */
export function SessionActions({ session }: { session: Session }): ReactNode {
  const { t } = useTranslation('session');
  const [asking, setAsking] = useState(false);
  const { touch, busy } = useTouchSession();
  const endSessions = useEndSessions();
  return (
    <div className="session-actions">
      <PinTextButton session={session} />
      <button
        type="button"
        className="button"
        disabled={session.status !== 'READY' || busy}
        onClick={() => {
          touch(session);
        }}
      >
        <Icon name="touch" />
        {t('actions.touch')}
      </button>
      <button
        type="button"
        className="button danger"
        disabled={session.status === 'TERMINATING' || session.status === 'DEAD'}
        onClick={() => {
          setAsking(true);
        }}
      >
        <Icon name="stop" />
        {t('actions.end')}
      </button>
      {asking && (
        <EndDialog
          sessions={[session]}
          onConfirm={() => {
            setAsking(false);
            void endSessions([session]);
          }}
          onClose={() => {
            setAsking(false);
          }}
        />
      )}
    </div>
  );
}

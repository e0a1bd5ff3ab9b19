import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Session } from '../api/types.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { shortId } from './sessionText.ts';

interface EndDialogProps {
  /** The sessions to end: at least one. */
  sessions: readonly Session[];
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks for confirmation before sessions are ended. */
export function EndDialog({ sessions, onConfirm, onClose }: EndDialogProps): ReactNode {
  const { t } = useTranslation(['session', 'panel']);
  const [first] = sessions;
  const one = first && sessions.length === 1;
  const count = sessions.length;
  const attached = sessions.reduce((sum, session) => sum + session.attached, 0);
  const title = one
    ? t('ending.titleOne', { id: shortId(first.id) })
    : t('ending.title', { count });
  return (
    <Dialog title={title} onClose={onClose}>
      <p>
        {attached > 0 && `${t('ending.attached', { count: attached })} `}
        {one ? t('ending.lossOfOne') : t('ending.lossOfMany')}
      </p>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          {t('panel:cancel')}
        </button>
        <button type="button" className="button danger" onClick={onConfirm}>
          {one ? t('ending.confirmOne') : t('ending.confirm', { count })}
        </button>
      </div>
    </Dialog>
  );
}

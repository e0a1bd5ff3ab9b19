import { Dialog as Base } from '@base-ui/react/dialog';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { IconButton } from './IconButton.tsx';

interface DialogProps {
  title: string;
  /** Called on Escape, on the close button and on a click outside. */
  onClose: () => void;
  children: ReactNode;
}

/** A modal dialog, open for as long as it is rendered. */
export function Dialog({ title, onClose, children }: DialogProps): ReactNode {
  const { t } = useTranslation();
  return (
    <Base.Root
      open
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
    >
      <Base.Portal>
        <Base.Backdrop className="dialog-backdrop" />
        <Base.Popup className="dialog">
          <header className="dialog-header">
            <Base.Title>{title}</Base.Title>
            <IconButton icon="close" label={t('close')} onClick={onClose} />
          </header>
          {children}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  );
}

import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import { dismiss, useNotices } from './notices.ts';
import { IconButton } from './IconButton.tsx';

/** Notices in the corner of the window, announced by screen readers. */
export function Notices(): ReactNode {
  const { t } = useTranslation();
  const notices = useNotices();
  return (
    <div className="notices" aria-live="polite">
      {notices.map(({ id, kind, text }) => (
        <div key={id} className={`notice ${kind}`} role={kind === 'error' ? 'alert' : undefined}>
          <span>{text}</span>
          <IconButton
            icon="close"
            label={t('dismiss')}
            onClick={() => {
              dismiss(id);
            }}
          />
        </div>
      ))}
    </div>
  );
}

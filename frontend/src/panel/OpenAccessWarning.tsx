import type { ReactNode } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { openFleetNote } from './openAccessDismissal.ts';
import { useOpenness } from '../hooks/queries.ts';
import { useStore } from '../lib/useStore.ts';
import { IconButton } from '../ui/IconButton.tsx';

/** Says that the fleet is open to everybody, and what to do about it, until this tab has heard it. */
export function OpenFleetNote(): ReactNode {
  const { t } = useTranslation();
  const open = useOpenness();
  const dismissed = useStore(openFleetNote);
  if (!open || dismissed) return null;
  return (
    <div className="banner open-fleet" role="alert">
      <p>
        <Trans t={t} i18nKey="openFleet" components={{ code: <code /> }} />
      </p>
      <IconButton
        icon="close"
        label={t('dismiss')}
        onClick={() => {
          openFleetNote.dismiss();
        }}
      />
    </div>
  );
}

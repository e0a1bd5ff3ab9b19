import type { ReactNode } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { useOpenAccess } from '../hooks/queries.ts';
import { Store } from '../lib/store.ts';
import { useStore } from '../lib/useStore.ts';
import { IconButton } from '../ui/IconButton.tsx';

const KEY = 'camofleet.openFleetNote';
const DISMISSED = 'dismissed';

/** Whether the person in front of this tab has put away the note that the fleet is open to everybody. */
export class OpenAccessDismissal extends Store<boolean> {
  constructor() {
    super(readDismissed());
  }

  /** Puts it away for as long as the tab is there. */
  dismiss(): void {
    this.set(true);
    try {
      sessionStorage.setItem(KEY, DISMISSED);
    } catch {
      // Without storage it comes back with the next visit.
    }
  }
}

function readDismissed(): boolean {
  try {
    return sessionStorage.getItem(KEY) === DISMISSED;
  } catch {
    return false;
  }
}

/** Whether this tab's note was put away. */
export const openAccessDismissal = new OpenAccessDismissal();

/** Says that the fleet is open to everybody, and what to do about it, until this tab has heard it. */
export function OpenAccessWarning(): ReactNode {
  const { t } = useTranslation();
  const open = useOpenAccess();
  const dismissed = useStore(openAccessDismissal);
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
          openAccessDismissal.dismiss();
        }}
      />
    </div>
  );
}

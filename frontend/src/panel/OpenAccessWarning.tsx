import type { ReactNode } from 'react';
import { Trans, useTranslation } from 'react-i18next';

import { useOpenAccess } from '../hooks/queries.ts';
import { Store } from '../lib/store.ts';
import { useStore } from '../lib/useStore.ts';
import { IconButton } from '../ui/IconButton.tsx';

const KEY = 'camofleet.openFleetNote';
const DISMISSED = 'dismissed';

/** Whether the warning about unrestricted access was dismissed in this tab. */
export class OpenAccessDismissal extends Store<boolean> {
  constructor() {
    super(readDismissed());
  }

  /** Dismisses it for as long as the tab exists. */
  dismiss(): void {
    this.set(true);
    try {
      sessionStorage.setItem(KEY, DISMISSED);
    } catch {
      // Without storage the warning returns with the next visit.
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

/** Whether this tab's warning was dismissed. */
export const openAccessDismissal = new OpenAccessDismissal();

/** Warns that everybody can control the fleet, and says what to do about it, until it is dismissed. */
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

import { type ReactNode, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { Session } from '../api/types.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { LiveView } from './LiveView.tsx';

interface LivePanelProps {
  /** The session as last listed; the one that was opened, when it is not listed any more. */
  session: Session;
  /** Whether the session is still among the living. */
  alive: boolean;
  onClose: () => void;
}

/** A session's screen above the table that it was opened from, with a way out. */
export function LivePanel({ session, alive, onClose }: LivePanelProps): ReactNode {
  const { t } = useTranslation('live');
  const panel = useRef<HTMLDivElement>(null);

  useEffect(() => {
    // The row that was clicked may be far down a long table.
    panel.current?.scrollIntoView({ block: 'nearest' });
    panel.current?.focus({ preventScroll: true });
  }, [session.id]);

  return (
    <div ref={panel} className="live-panel" tabIndex={-1}>
      <LiveView session={session} alive={alive}>
        <IconButton icon="close" label={t('close')} onClick={onClose} />
      </LiveView>
    </div>
  );
}

import { type ReactNode, useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { Session } from '../api/types.ts';
import { IconButton } from '../ui/IconButton.tsx';
import { LiveView } from './LiveView.tsx';

interface LivePanelProps {
  /** The current state of the session, or the last known one after it has ended. */
  session: Session;
  /** Whether the session is still live. */
  alive: boolean;
  onClose: () => void;
}

/** A session's live view above the table, with a close button. */
export function LivePanel({ session, alive, onClose }: LivePanelProps): ReactNode {
  const { t } = useTranslation('live');
  const panel = useRef<HTMLDivElement>(null);

  useEffect(() => {
    // The clicked row may be far down a long table.
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

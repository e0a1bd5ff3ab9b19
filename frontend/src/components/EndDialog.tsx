import type { ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import { Dialog } from './Dialog.tsx';
import { shortId } from './format.ts';

interface EndDialogProps {
  /** Those that are to be ended: at least one. */
  sessions: readonly Session[];
  onConfirm: () => void;
  onClose: () => void;
}

function consequence(sessions: readonly Session[]): string {
  const attached = sessions.reduce((sum, session) => sum + session.attached, 0);
  const [browser, them] =
    sessions.length === 1 ? ['Its browser is', 'it'] : ['Their browsers are', 'them'];
  const loss = `${browser} closed, and everything open in ${them} is lost.`;
  if (attached === 0) return loss;
  const clients = attached === 1 ? 'One client is' : `${attached} clients are`;
  return `${clients} attached and will be cut off. ${loss}`;
}

/** Asks whether sessions are really to be ended, and says what that means. */
export function EndDialog({ sessions, onConfirm, onClose }: EndDialogProps): ReactNode {
  const [first] = sessions;
  const one = first && sessions.length === 1;
  const title = one ? `End session ${shortId(first.id)}?` : `End ${sessions.length} sessions?`;
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{consequence(sessions)}</p>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" className="button danger" onClick={onConfirm}>
          {one ? 'End session' : `End ${sessions.length} sessions`}
        </button>
      </div>
    </Dialog>
  );
}

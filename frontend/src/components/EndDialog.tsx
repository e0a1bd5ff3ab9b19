import type { ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import { Dialog } from './Dialog.tsx';
import { shortId } from './format.ts';

interface EndDialogProps {
  session: Session;
  onConfirm: () => void;
  onClose: () => void;
}

function consequence(attached: number): string {
  if (attached === 0) return 'Its browser is closed, and everything open in it is lost.';
  const clients = attached === 1 ? 'One client is' : `${attached} clients are`;
  return `${clients} attached and will be cut off. The browser is closed, and everything open in it is lost.`;
}

/** Asks whether a session is really to be ended, and says what that means. */
export function EndDialog({ session, onConfirm, onClose }: EndDialogProps): ReactNode {
  return (
    <Dialog title={`End session ${shortId(session.id)}?`} onClose={onClose}>
      <p>{consequence(session.attached ?? 0)}</p>
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" className="button danger" onClick={onConfirm}>
          End session
        </button>
      </div>
    </Dialog>
  );
}

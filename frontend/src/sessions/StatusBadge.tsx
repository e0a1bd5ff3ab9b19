import type { ReactNode } from 'react';

import type { SessionStatus } from '../api/types.ts';

const TONES: Record<SessionStatus, string> = {
  INIT: 'badge busy',
  READY: 'badge good',
  TERMINATING: 'badge busy',
  DEAD: 'badge bad',
};

/** Where a session is in its life, in the API's own word: logs, filters and metrics have the same. */
export function StatusBadge({ status }: { status: SessionStatus }): ReactNode {
  return <span className={TONES[status]}>{status}</span>;
}

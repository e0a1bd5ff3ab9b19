import type { ReactNode } from 'react';

import type { SessionStatus } from '../api/types.ts';

const TONES: Record<SessionStatus, string> = {
  INIT: 'badge busy',
  READY: 'badge good',
  TERMINATING: 'badge busy',
  DEAD: 'badge bad',
};

/** A session's state by its name in the API, as it appears in logs, filters and metrics. */
export function StatusBadge({ status }: { status: SessionStatus }): ReactNode {
  return <span className={TONES[status]}>{status}</span>;
}

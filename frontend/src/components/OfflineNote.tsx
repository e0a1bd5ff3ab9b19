import type { ReactNode } from 'react';

import { useConnection } from '../hooks/fleet.ts';

/** Says since when the API has been out of reach, and that the panel keeps trying. */
export function OfflineNote(): ReactNode {
  const { mode, since } = useConnection();
  if (mode !== 'offline') return null;
  const moment = new Date(since);
  return (
    <p className="banner" role="alert">
      Offline since <time dateTime={moment.toISOString()}>{moment.toLocaleTimeString()}</time>: the
      API can’t be reached. What you see is the last known state; the panel keeps trying.
    </p>
  );
}

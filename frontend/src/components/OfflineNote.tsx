import type { ReactNode } from 'react';

import { offlineSince } from '../api/reachability.ts';
import { useStore } from '../hooks/useStore.ts';

/** Says since when the API has been out of reach, and that the panel keeps trying. */
export function OfflineNote(): ReactNode {
  const since = useStore(offlineSince);
  if (since === null) return null;
  const moment = new Date(since);
  return (
    <p className="banner" role="alert">
      Offline since <time dateTime={moment.toISOString()}>{moment.toLocaleTimeString()}</time>: the
      API can’t be reached. What you see is the last known state; the panel keeps trying.
    </p>
  );
}

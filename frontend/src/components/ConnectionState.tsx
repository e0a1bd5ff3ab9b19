import type { ReactNode } from 'react';

import { useConnection } from '../hooks/fleet.ts';
import { POLL_INTERVAL_MS, type Connection } from '../live/feed.ts';

const WORDS: Record<Connection['mode'], string> = {
  connecting: 'Connecting',
  live: 'Live',
  polling: 'Polling',
  offline: 'Offline',
};

const HINTS: Record<Connection['mode'], string> = {
  connecting: 'The fleet is being asked.',
  live: 'Changes are shown as they happen.',
  polling: `The event stream is cut: the fleet is asked every ${POLL_INTERVAL_MS / 1000} s until it is back.`,
  offline: 'The API can’t be reached; the panel keeps trying.',
};

/** How the panel learns of changes at present, and since when. */
export function ConnectionState(): ReactNode {
  const { mode, since } = useConnection();
  const moment = new Date(since);
  return (
    <p className={`connection ${mode}`} title={HINTS[mode]} role="status">
      <span className="dot" aria-hidden="true" />
      {WORDS[mode]}
      <span className="quiet off-phone">
        {' '}
        since <time dateTime={moment.toISOString()}>{moment.toLocaleTimeString()}</time>
      </span>
    </p>
  );
}

import type { ReactNode } from 'react';

import { LiveScreen } from './LiveScreen.tsx';
import { useLiveConnection } from './useLiveConnection.ts';

interface ViewOnlyViewerProps {
  sessionId: string;
  /** The WebSocket of the live view. */
  url: string;
}

const WATCHING = { viewOnly: true, scaled: true };

/**
 * A session's screen to look at, in whatever room it is given. It is the default export of its own chunk, because it
 * brings noVNC along.
 */
export default function ViewOnlyViewer({ sessionId, url }: ViewOnlyViewerProps): ReactNode {
  const { status, screen, withConnection } = useLiveConnection(url, WATCHING);
  return (
    <LiveScreen
      sessionId={sessionId}
      status={status}
      screen={screen}
      onCredentials={(credentials) => {
        withConnection((connection) => {
          connection.sendCredentials(credentials);
        });
      }}
      // Nothing over there ever has the keyboard.
      onRelease={() => undefined}
    />
  );
}

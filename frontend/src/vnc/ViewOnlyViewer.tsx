import type { ReactNode } from 'react';

import { LiveScreen } from './LiveScreen.tsx';
import { useLiveConnection } from './useLiveConnection.ts';

interface ViewOnlyViewerProps {
  sessionId: string;
  /** The WebSocket URL of the live view. */
  url: string;
}

const WATCHING = { viewOnly: true, scaled: true };

/**
 * A live view without controls, in the size of its container. It is a chunk of its own because it contains
 * noVNC.
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
      // It never has control, so there is nothing to release.
      onRelease={() => undefined}
    />
  );
}

import { type RefObject, useCallback, useEffect, useEffectEvent, useRef, useState } from 'react';

import type { RfbCredentials } from '@novnc/novnc';

import { LiveConnection } from './connection.ts';
import type { LiveStatus } from './status.ts';

/** A live connection as a component uses it. */
export interface LiveConnectionHandle {
  status: LiveStatus;
  /** Goes on the element that gets the canvas. */
  screen: RefObject<HTMLDivElement | null>;
  sendCredentials: (credentials: RfbCredentials) => void;
}

/**
 * Holds a {@link LiveConnection} for as long as the component is there. Another URL is another
 * connection; switching `viewOnly` keeps the one there is.
 */
export function useLiveConnection(url: string, viewOnly: boolean): LiveConnectionHandle {
  const screen = useRef<HTMLDivElement | null>(null);
  const connection = useRef<LiveConnection | null>(null);
  const [status, setStatus] = useState<LiveStatus>({ state: 'connecting', wanted: [] });

  const connect = useEffectEvent((target: HTMLElement, address: string) => {
    const opened = new LiveConnection({
      target,
      url: new URL(address),
      viewOnly,
      onStatus: setStatus,
    });
    opened.open();
    return opened;
  });

  useEffect(() => {
    if (!screen.current) return;
    const opened = connect(screen.current, url);
    connection.current = opened;
    return () => {
      connection.current = null;
      opened.close();
    };
  }, [url]);

  useEffect(() => {
    connection.current?.setViewOnly(viewOnly);
    // Whoever takes control wants to type.
    if (!viewOnly && status.state === 'connected') connection.current?.focus();
  }, [viewOnly, status.state]);

  const sendCredentials = useCallback((credentials: RfbCredentials) => {
    connection.current?.sendCredentials(credentials);
  }, []);

  return { status, screen, sendCredentials };
}

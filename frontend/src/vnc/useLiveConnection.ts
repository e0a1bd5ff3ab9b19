import { type RefObject, useCallback, useEffect, useEffectEvent, useRef, useState } from 'react';

import { LiveConnection } from './connection.ts';
import type { LiveStatus } from './status.ts';

/** The user's options of a live view. */
export interface LiveChoices {
  /** View only: no keys, clicks or touches are sent. */
  viewOnly: boolean;
  /** Whether the screen is scaled to its container. */
  scaled: boolean;
}

/** A live connection for use in a component. */
export interface LiveConnectionHandle {
  status: LiveStatus;
  /** A ref for the element that gets the canvas. */
  screen: RefObject<HTMLDivElement | null>;
  /** The last text copied in the session; null if there was none. */
  remoteText: string | null;
  /** Calls a function with the connection, if there is one. */
  withConnection: <T>(use: (connection: LiveConnection) => T) => T | undefined;
}

/**
 * Keeps a {@link LiveConnection} open while the component is mounted. A new URL opens a new connection;
 * changed options apply to the existing one.
 */
export function useLiveConnection(url: string, choices: LiveChoices): LiveConnectionHandle {
  const { viewOnly, scaled } = choices;
  const screen = useRef<HTMLDivElement | null>(null);
  const connection = useRef<LiveConnection | null>(null);
  const [status, setStatus] = useState<LiveStatus>({ state: 'connecting' });
  const [remoteText, setRemoteText] = useState<string | null>(null);

  const connect = useEffectEvent((target: HTMLElement, address: string) => {
    const opened = new LiveConnection({
      target,
      url: new URL(address),
      viewOnly,
      onStatus: setStatus,
      onClipboard: setRemoteText,
    });
    opened.setScaled(scaled);
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
    // Taking control moves the keyboard focus to the screen.
    if (!viewOnly && status.state === 'connected') connection.current?.focus();
  }, [viewOnly, status.state]);

  useEffect(() => {
    connection.current?.setScaled(scaled);
  }, [scaled]);

  const withConnection = useCallback(
    <T>(use: (connection: LiveConnection) => T) =>
      connection.current ? use(connection.current) : undefined,
    [],
  );

  return { status, screen, remoteText, withConnection };
}

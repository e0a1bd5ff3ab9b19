import { type RefObject, useCallback, useEffect, useEffectEvent, useRef, useState } from 'react';

import { LiveConnection } from './connection.ts';
import type { LiveStatus } from './status.ts';

/** What the person in front of a live view has chosen. */
export interface LiveChoices {
  /** Watch only: no key, click or touch is passed on. */
  viewOnly: boolean;
  /** Whether the screen is scaled to fit. */
  scaled: boolean;
}

/** A live connection as a component uses it. */
export interface LiveConnectionHandle {
  status: LiveStatus;
  /** Goes on the element that gets the canvas. */
  screen: RefObject<HTMLDivElement | null>;
  /** The text that was copied last over there; null if none was. */
  remoteText: string | null;
  /** Does something with the connection, if there is one. */
  withConnection: <T>(use: (connection: LiveConnection) => T) => T | undefined;
}

/**
 * Holds a {@link LiveConnection} for as long as the component is there. Another URL is another
 * connection; other choices keep the one there is.
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
    // Whoever takes control wants to type.
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

import { useEffect, useRef, useState } from 'react';

import { checkProxy } from '../api/client.ts';
import type { ProxyCheck, ProxyRequest } from '../api/types.ts';

/** How far the check of a proxy is. */
export type CheckState =
  | { phase: 'idle' | 'running' }
  | { phase: 'checked'; result: ProxyCheck }
  /** There is no result: the API refused the check, or can't be reached. */
  | { phase: 'failed'; error: unknown };

interface CheckControl {
  state: CheckState;
  start: () => void;
  stop: () => void;
}

const IDLE: CheckState = { phase: 'idle' };

/**
 * Checks a proxy on request. When the proxy or the worker changes, a check that is running is cancelled, and its result
 * is dropped. The proxy may have credentials: they are sent in the body of the request, and kept nowhere else.
 *
 * @param worker the worker that checks it; null lets the API choose one
 * @param profile the name of the profile whose proxy is the default
 */
export function useProxyCheck(
  proxy: ProxyRequest | null,
  worker: string | null,
  profile: string | null = null,
): CheckControl {
  const subject = JSON.stringify([proxy, worker, profile]);
  const [current, setCurrent] = useState({ subject, state: IDLE });
  const running = useRef<AbortController | null>(null);
  if (current.subject !== subject) setCurrent({ subject, state: IDLE });

  const cancel = () => {
    running.current?.abort();
    running.current = null;
  };
  useEffect(() => cancel, [subject]);

  const start = () => {
    cancel();
    const own = new AbortController();
    running.current = own;
    const settle = (state: CheckState) => {
      if (running.current !== own) return;
      running.current = null;
      setCurrent({ subject, state });
    };
    setCurrent({ subject, state: { phase: 'running' } });
    checkProxy(proxy, worker, own.signal, profile).then(
      (result) => {
        settle({ phase: 'checked', result });
      },
      (error: unknown) => {
        settle({ phase: 'failed', error });
      },
    );
  };
  const stop = () => {
    cancel();
    setCurrent({ subject, state: IDLE });
  };
  return { state: current.subject === subject ? current.state : IDLE, start, stop };
}

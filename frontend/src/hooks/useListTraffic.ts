import { useEffect } from 'react';

import { listSessions } from '../api/client.ts';
import { sleep } from '../lib/sleep.ts';
import { usePageVisible } from '../ui/usePageVisible.ts';
import { useConnection, useLiveFleet } from './fleet.ts';

/** The shortest interval between two reads, in ms. */
const INTERVAL_MS = 5000;
/** What each session adds to it, in ms: a list of thousands has megabytes. */
const PER_SESSION_MS = 10;

/**
 * Keeps the totals of the sessions' traffic current while they are `shown`: bytes cause no events, so the list is
 * read from time to time.
 */
export function useListTraffic(shown: boolean): void {
  const { store } = useLiveFleet();
  const { mode } = useConnection();
  const visible = usePageVisible();
  // In the other modes the feed reads the lists, or nothing can be read.
  const reading = shown && visible && mode === 'live';

  useEffect(() => {
    if (!reading) return;
    const run = new AbortController();
    const { signal } = run;
    void (async () => {
      for (;;) {
        const count = store.get().sessions.length;
        await sleep(Math.max(INTERVAL_MS, count * PER_SESSION_MS), signal);
        if (signal.aborted) return;
        if (store.get().sessions.length === 0) continue;
        try {
          store.noteTraffic(await listSessions(signal));
        } catch {
          // The next read may succeed; the event stream reports an API that is gone.
        }
      }
    })();
    return () => {
      run.abort();
    };
  }, [reading, store]);
}

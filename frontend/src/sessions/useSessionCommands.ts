import { useCallback } from 'react';

import { errorText } from '../api/client.ts';
import type { Session } from '../api/types.ts';
import { shortId } from './sessionText.ts';
import { i18n } from '../i18n/i18n.ts';
import { useEnd, useTouch } from '../hooks/mutations.ts';
import { notifyError, notifyInfo } from '../ui/notices.ts';

/** How many sessions are ended at a time, so that a large selection does not flood the fleet. */
const MAX_CONCURRENT = 6;

/** Ends sessions, a few at a time, and shows the results as notices. */
export function useEndSessions(): (sessions: readonly Session[]) => Promise<void> {
  const { mutateAsync } = useEnd();
  return useCallback(
    async (sessions) => {
      const left = [...sessions];
      let ended = 0;
      const work = async () => {
        for (let session = left.shift(); session; session = left.shift()) {
          try {
            await mutateAsync(session);
            ended += 1;
          } catch (error) {
            const reason = errorText(error);
            notifyError(i18n.t('session:notEnded', { id: shortId(session.id), reason }));
          }
        }
      };
      await Promise.all(Array.from({ length: MAX_CONCURRENT }, work));
      const [only] = sessions;
      if (ended === 1 && only && sessions.length === 1)
        notifyInfo(i18n.t('session:ended', { id: shortId(only.id) }));
      else if (ended > 0) notifyInfo(i18n.t('session:endedMany', { count: ended }));
    },
    [mutateAsync],
  );
}

/** Touches a session and shows the result as a notice; `busy` while the request is running. */
export function useTouchSession(): { touch: (session: Session) => void; busy: boolean } {
  const { mutate, isPending } = useTouch();
  const touch = useCallback(
    (session: Session) => {
      const id = shortId(session.id);
      mutate(session, {
        onSuccess: () => {
          notifyInfo(i18n.t('session:touched', { id }));
        },
        onError: (error) => {
          notifyError(i18n.t('session:notTouched', { id, reason: errorText(error) }));
        },
      });
    },
    [mutate],
  );
  return { touch, busy: isPending };
}

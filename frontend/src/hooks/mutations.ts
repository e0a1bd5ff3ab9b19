import { useMutation, type UseMutationResult } from '@tanstack/react-query';

import { createSession, endSession, touchSession } from '../api/client.ts';
import type { CreateSession, EndedSession, Session } from '../api/types.ts';
import { useLiveFleet } from './fleet.ts';

/** Launches a session; it is in the list as soon as the API has answered, if no event was quicker. */
export function useLaunch(): UseMutationResult<Session, Error, CreateSession> {
  const { store } = useLiveFleet();
  return useMutation({
    mutationFn: createSession,
    onSuccess: (session) => {
      store.upsert(session);
    },
  });
}

/** Touches a session; its countdown starts anew with the answer. */
export function useTouch(): UseMutationResult<Session, Error, Session> {
  const { store } = useLiveFleet();
  return useMutation({
    mutationFn: (session: Session) => touchSession(session),
    onSuccess: (session) => {
      store.upsert(session);
    },
  });
}

/** Ends a session; it is shown as terminating at once, which is taken back on a failure. */
export function useEnd(): UseMutationResult<EndedSession, Error, Session, void> {
  const { store } = useLiveFleet();
  return useMutation({
    mutationFn: (session: Session) => endSession(session),
    onMutate: (session) => {
      store.patch(session, { status: 'TERMINATING' });
    },
    onSuccess: ({ status }, session) => {
      if (status === 'DEAD') store.remove(session);
      else store.patch(session, { status });
    },
    onError: (_error, session) => {
      store.patch(session, { status: session.status });
    },
  });
}

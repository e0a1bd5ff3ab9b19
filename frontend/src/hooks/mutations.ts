import { useMutation, type UseMutationResult } from '@tanstack/react-query';

import { changeProxy, drainWorker, endSession, touchSession } from '../api/client.ts';
import type { EndedSession, ProxyRequest, Session, WorkerStatus } from '../api/types.ts';
import { useLiveFleet } from './fleet.ts';

/** Touches a session; its countdown restarts with the answer. */
export function useTouch(): UseMutationResult<Session, Error, Session> {
  const { store } = useLiveFleet();
  return useMutation({
    mutationFn: (session: Session) => touchSession(session),
    onSuccess: (session) => {
      store.upsert(session);
    },
  });
}

/** A session and its new proxy; null for the worker's default. */
interface ProxyChange {
  session: Session;
  proxy: ProxyRequest | null;
}

/** Changes how the connections of a session leave. */
export function useChangeProxy(): UseMutationResult<Session, Error, ProxyChange> {
  const { store } = useLiveFleet();
  return useMutation({
    mutationFn: ({ session, proxy }: ProxyChange) => changeProxy(session, proxy),
    onSuccess: (session) => {
      store.upsert(session);
    },
  });
}

/** Ends a session. It is shown as TERMINATING at once, which is rolled back on a failure. */
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

/** Drains a worker, or ends the drain. */
export function useDrain(worker: string): UseMutationResult<WorkerStatus, Error, boolean> {
  const { store } = useLiveFleet();
  return useMutation({
    mutationFn: (on: boolean) => drainWorker(worker, on),
    onSuccess: (status) => {
      store.setWorker(status);
    },
  });
}

import { useMutation, useQueryClient, type UseMutationResult } from '@tanstack/react-query';

import { createSession, endSession, touchSession } from '../api/client.ts';
import type { CreateSession, EndedSession, Session } from '../api/types.ts';
import { queryKeys } from './queries.ts';

/** How the mutations change the cached list at once, before the next poll confirms it. */
function useSessionCache() {
  const client = useQueryClient();
  const update = (change: (sessions: Session[]) => Session[]) => {
    client.setQueryData<Session[]>(queryKeys.sessions, (sessions) => sessions && change(sessions));
  };
  return {
    /** Stops a poll under way, whose answer would be older than the change. */
    stopPoll: () => client.cancelQueries({ queryKey: queryKeys.sessions }),
    add: (session: Session) => {
      update((sessions) => [session, ...sessions.filter(({ id }) => id !== session.id)]);
    },
    replace: (session: Session) => {
      update((sessions) => sessions.map((known) => (known.id === session.id ? session : known)));
    },
    setStatus: (id: string, status: Session['status']) => {
      update((sessions) =>
        sessions.map((known) => (known.id === id ? { ...known, status } : known)),
      );
    },
    remove: (id: string) => {
      update((sessions) => sessions.filter((known) => known.id !== id));
    },
    askAgain: async () => {
      await Promise.all([
        client.invalidateQueries({ queryKey: queryKeys.sessions }),
        client.invalidateQueries({ queryKey: queryKeys.endedSessions }),
      ]);
    },
  };
}

/** Launches a session; it is in the list as soon as the API has answered. */
export function useLaunch(): UseMutationResult<Session, Error, CreateSession> {
  const cache = useSessionCache();
  return useMutation({
    mutationFn: createSession,
    onSuccess: async (session) => {
      await cache.stopPoll();
      cache.add(session);
    },
    onSettled: () => {
      void cache.askAgain();
    },
  });
}

/** Touches a session; its countdown starts anew with the answer. */
export function useTouch(): UseMutationResult<Session, Error, Session> {
  const cache = useSessionCache();
  return useMutation({
    mutationFn: touchSession,
    onSuccess: async (session) => {
      await cache.stopPoll();
      cache.replace(session);
    },
  });
}

/** Ends a session; the list shows it as terminating at once, and takes that back on a failure. */
export function useEnd(): UseMutationResult<EndedSession, Error, Session, void> {
  const cache = useSessionCache();
  return useMutation({
    mutationFn: endSession,
    onMutate: async ({ id }) => {
      await cache.stopPoll();
      cache.setStatus(id, 'TERMINATING');
    },
    onSuccess: ({ id, status }) => {
      if (status === 'DEAD') cache.remove(id);
      else cache.setStatus(id, status);
    },
    onError: (_error, { id, status }) => {
      cache.setStatus(id, status);
    },
    onSettled: () => {
      void cache.askAgain();
    },
  });
}

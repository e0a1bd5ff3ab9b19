import { QueryClient, useQuery, type UseQueryResult } from '@tanstack/react-query';

import { getFleetHealth, listEndedSessions, listSessions } from '../api/client.ts';
import { access } from '../api/token.ts';
import type { FleetHealth, Session } from '../api/types.ts';
import { useStore } from './useStore.ts';

/** How often the panel asks the API for news while its tab is in sight. */
export const POLL_INTERVAL_MS = 2000;

/** The cache keys, for the mutations that write into the cache. */
export const queryKeys = {
  sessions: ['sessions'],
  endedSessions: ['ended-sessions'],
  health: ['health'],
} as const;

/** A query client that suits polling: the next poll is the retry, and it needs no internet. */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        retry: false,
        networkMode: 'always',
        refetchInterval: POLL_INTERVAL_MS,
        refetchIntervalInBackground: false,
        refetchOnWindowFocus: 'always',
      },
      mutations: { retry: false, networkMode: 'always' },
    },
  });
}

/** Asking is pointless until there is a token that may be accepted. */
function useMayAsk(): boolean {
  return !useStore(access).refused;
}

function newestFirst(sessions: Session[]): Session[] {
  return sessions.toSorted((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
}

function lastEndedFirst(sessions: Session[]): Session[] {
  const endOf = (session: Session) => Date.parse(session.ended_at ?? session.last_seen_at);
  return sessions.toSorted((a, b) => endOf(b) - endOf(a));
}

/** The living sessions, newest first. */
export function useSessions(): UseQueryResult<Session[]> {
  return useQuery({
    queryKey: queryKeys.sessions,
    queryFn: ({ signal }) => listSessions(signal),
    enabled: useMayAsk(),
    select: newestFirst,
  });
}

/** The sessions that ended last; only asked for while `wanted`. */
export function useEndedSessions(wanted: boolean): UseQueryResult<Session[]> {
  const mayAsk = useMayAsk();
  return useQuery({
    queryKey: queryKeys.endedSessions,
    queryFn: ({ signal }) => listEndedSessions(signal),
    enabled: mayAsk && wanted,
    select: lastEndedFirst,
  });
}

/** The health of the fleet and its workers. */
export function useFleetHealth(): UseQueryResult<FleetHealth> {
  return useQuery({
    queryKey: queryKeys.health,
    queryFn: ({ signal }) => getFleetHealth(signal),
    enabled: useMayAsk(),
  });
}

import {
  keepPreviousData,
  QueryClient,
  useQuery,
  type UseQueryResult,
} from '@tanstack/react-query';

import {
  getHealth,
  getHistory,
  getSession,
  listEndedSessions,
  type SessionPlace,
} from '../api/client.ts';
import type { ProfilePlace } from '../api/profiles.ts';
import type { HistoryEntry, Session } from '../api/types.ts';
import { useConnection } from './fleet.ts';

/** The cache keys of what is read besides the event stream. */
export const queryKeys = {
  endedSessions: ['ended-sessions'],
  openness: (connectedSince: number) => ['openness', connectedSince],
  session: ({ worker, id }: SessionPlace) => ['session', worker, id],
  profiles: ['profiles'],
  cookies: ({ worker, name }: ProfilePlace) => ['cookies', worker, name],
  history: ({ worker, id }: SessionPlace) => ['history', worker, id],
} as const;

/**
 * A query client whose data is invalidated by events: it does not refetch by itself, and works without
 * internet access.
 */
export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: { retry: 1, networkMode: 'always', refetchOnWindowFocus: false },
      mutations: { retry: false, networkMode: 'always' },
    },
  });
}

function lastEndedFirst(sessions: Session[]): Session[] {
  const endOf = (session: Session) => Date.parse(session.ended_at ?? session.last_seen_at);
  return sessions.toSorted((a, b) => endOf(b) - endOf(a));
}

/** The most recently ended sessions; requested only if `wanted`. */
export function useEndedSessions(wanted: boolean): UseQueryResult<Session[]> {
  return useQuery({
    queryKey: queryKeys.endedSessions,
    queryFn: ({ signal }) => listEndedSessions(signal),
    enabled: wanted,
    select: lastEndedFirst,
  });
}

/** A session that may have ended; requested only if `wanted`. */
export function useRememberedSession(
  place: SessionPlace,
  wanted: boolean,
): UseQueryResult<Session> {
  return useQuery({
    queryKey: queryKeys.session(place),
    queryFn: ({ signal }) => getSession(place, signal),
    enabled: wanted,
    retry: false,
  });
}

/** Whether the fleet can be controlled without a token; checked once per connection. */
export function useOpenAccess(): boolean {
  const { mode, since } = useConnection();
  const { data = false } = useQuery({
    queryKey: queryKeys.openness(since),
    queryFn: async ({ signal }) => (await getHealth(signal)).insecure === true,
    enabled: mode === 'live' || mode === 'polling',
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    retry: false,
  });
  return data;
}

/** The events of a session. */
export function useHistory(place: SessionPlace): UseQueryResult<HistoryEntry[]> {
  return useQuery({
    queryKey: queryKeys.history(place),
    queryFn: ({ signal }) => getHistory(place, signal),
    retry: false,
  });
}

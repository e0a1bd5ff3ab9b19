import { useQuery, useQueryClient, type UseQueryResult } from '@tanstack/react-query';

import { getFleetHistory } from '../api/client.ts';
import type { FleetHistory } from '../api/types.ts';

const KEY = ['fleet-history'];
/** How often newer samples are requested, in ms; usually there is one or none. */
const POLL_INTERVAL_MS = 2000;
/** The age of the oldest sample kept, in ms: what the server keeps, and the longest time that can be shown. */
const MAX_AGE_MS = 3_600_000;

/** Appends newer samples to the known ones and drops those that are too old to be shown. */
export function withNewer(known: FleetHistory | undefined, newer: FleetHistory): FleetHistory {
  const last = newer.samples.at(-1);
  if (known === undefined || last === undefined) return known ?? newer;
  const oldest = Date.parse(last.at) - MAX_AGE_MS;
  const kept = known.samples.filter((sample) => Date.parse(sample.at) >= oldest);
  return { ...newer, samples: [...kept, ...newer.samples] };
}

/** The fleet's last hour, polled while the component is mounted. */
export function useFleetHistory(): UseQueryResult<FleetHistory> {
  const client = useQueryClient();
  return useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }) => {
      const known = client.getQueryData<FleetHistory>(KEY);
      return withNewer(known, await getFleetHistory(known?.samples.at(-1)?.at ?? null, signal));
    },
    refetchInterval: POLL_INTERVAL_MS,
  });
}

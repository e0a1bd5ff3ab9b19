import type { SessionPlace } from '../api/client.ts';

/** The path of a session's page in the panel. */
export function sessionPath({ worker, id }: SessionPlace): string {
  return `/sessions/${encodeURIComponent(worker)}/${encodeURIComponent(id)}`;
}

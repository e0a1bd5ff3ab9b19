import type { SessionPlace } from '../api/client.ts';

/** Where in the panel a session has its page. */
export function sessionPath({ worker, id }: SessionPlace): string {
  return `/sessions/${encodeURIComponent(worker)}/${encodeURIComponent(id)}`;
}

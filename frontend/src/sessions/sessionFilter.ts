import type { Session, SessionStatus } from '../api/types.ts';
import { exitKey } from './exits.ts';

/** What has labels. */
type Labelled = Pick<Session, 'labels'>;

/** A filter of sessions; an empty text matches everything. */
export interface SessionFilter {
  /** Words that must all occur in the id, worker, engine, profile, proxy, labels or start URL. */
  search: string;
  status: '' | SessionStatus;
  worker: string;
  /** A label as `key=value`, or a key alone. */
  label: string;
  /** An exit by its `exitKey`. */
  exit: string;
}

/** A filter that matches everything. */
export const NO_FILTER: SessionFilter = { search: '', status: '', worker: '', label: '', exit: '' };

/** Whether a filter excludes anything. */
export function isFiltering(filter: SessionFilter): boolean {
  return Object.values(filter).some((value: string) => value.trim() !== '');
}

/** A label as `key=value`. */
export function labelText([key, value]: [string, string]): string {
  return `${key}=${value}`;
}

/** Whether something has a label: one as `key=value`, a key alone with any value, or none that is asked for. */
export function hasLabel({ labels }: Labelled, label: string): boolean {
  const [key = '', value] = label.trim().split(/=(.*)/s);
  if (key === '') return true;
  const found = Object.hasOwn(labels, key) ? labels[key] : undefined;
  return found !== undefined && (value === undefined || found === value);
}

function searchedText(session: Session): string {
  const { id, worker, browser, profile, proxy, labels, start_url: startUrl } = session;
  const exit = proxy === null ? '' : exitKey(proxy);
  const texts = [
    id,
    worker,
    browser,
    profile ?? '',
    exit,
    ...Object.entries(labels).map(labelText),
    startUrl ?? '',
  ];
  return texts.join(' ').toLowerCase();
}

/** The sessions that match a filter, in their order. */
export function filterSessions(
  sessions: readonly Session[],
  { search, status, worker, label, exit }: SessionFilter,
): Session[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return sessions.filter((session) => {
    if (status !== '' && session.status !== status) return false;
    if (worker !== '' && session.worker !== worker) return false;
    if (exit !== '' && (session.egress === null || exitKey(session.proxy) !== exit)) return false;
    if (!hasLabel(session, label)) return false;
    if (words.length === 0) return true;
    const text = searchedText(session);
    return words.every((word) => text.includes(word));
  });
}

/** All distinct labels of some sessions or profiles, as `key=value`, sorted. */
export function labelsOf(labelled: readonly Labelled[]): string[] {
  const texts = labelled.flatMap(({ labels }) => Object.entries(labels).map(labelText));
  return [...new Set(texts)].sort();
}

import { i18n } from '../i18n/i18n.ts';
import { apiUrl } from './base.ts';
import { noteServerDate } from '../lib/serverClock.ts';
import { access } from './token.ts';
import type {
  CreateSession,
  EndedSession,
  FleetHealth,
  FleetHistory,
  HistoryEntry,
  Session,
  WorkerStatus,
} from './types.ts';

/** A poll that takes longer than this is given up; the next one is due anyway. */
const READ_TIMEOUT_MS = 10_000;
/** Launching a browser takes a while, more so on a busy host. */
const WRITE_TIMEOUT_MS = 90_000;

/** The API answered, and the answer was no. Its message is the API's own word for why, if it has one. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    readonly code: string,
    detail = '',
  ) {
    super(detail);
  }
}

/** Nothing that speaks the API answered: no connection, a timeout, or a proxy's own error page. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';

  /** @param status that of an answer which was not the API's */
  constructor(
    readonly reason: 'timeout' | 'unreachable' | 'foreign',
    readonly status = 0,
  ) {
    super(reason);
  }
}

/** What to tell the person about a failed request: the API's own words, or the panel's in the language of the moment. */
export function errorText(error: unknown): string {
  if (error instanceof UnreachableError) {
    return i18n.t(`errors:${error.reason}`, { status: error.status });
  }
  if (error instanceof ApiError && error.message === '') {
    return i18n.t('errors:unexplained', { status: error.status });
  }
  return error instanceof Error ? error.message : String(error);
}

interface RequestOptions {
  method?: 'GET' | 'POST' | 'DELETE';
  body?: unknown;
  signal?: AbortSignal;
  /** The tag of what is there already; the answer is `null` if that is still what there is. */
  knownTag?: string | null;
  /** Makes the result of an answer that is no refusal; undefined if it is not the API's. JSON is read without it. */
  read?: (response: Response) => Promise<unknown>;
  /** What the API is to call the request, in its logs and in what comes of it. */
  requestId?: string;
}

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

function toApiError(status: number, body: unknown): ApiError {
  const { detail, code } = (typeof body === 'object' && body !== null ? body : {}) as {
    detail?: unknown;
    code?: unknown;
  };
  return new ApiError(
    status,
    typeof code === 'string' ? code : 'unknown',
    typeof detail === 'string' ? detail : '',
  );
}

async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const { method = 'GET', body, signal, requestId, knownTag = null, read = readJson } = options;
  const { token } = access.get();
  const timeout = AbortSignal.timeout(method === 'GET' ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS);
  const headers = new Headers({ Accept: 'application/json' });
  if (token !== null) headers.set('Authorization', `Bearer ${token}`);
  if (body !== undefined) headers.set('Content-Type', 'application/json');
  if (knownTag !== null) headers.set('If-None-Match', knownTag);
  if (requestId !== undefined) headers.set('X-Request-Id', requestId);

  let response: Response;
  try {
    response = await fetch(apiUrl(path), {
      method,
      headers,
      cache: 'no-store',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    // A query that nobody waits for any more says nothing about the API.
    if (signal?.aborted) throw error;
    throw new UnreachableError(timeout.aborted ? 'timeout' : 'unreachable');
  }

  noteServerDate(response.headers.get('Date'));
  if (response.status === 304) return null as T;
  const answer = await (response.ok ? read : readJson)(response);
  if (answer === undefined) {
    if (signal?.aborted) throw new DOMException('The request was cancelled.', 'AbortError');
    throw new UnreachableError('foreign', response.status);
  }
  if (response.status === 401) access.refuse(token);
  if (!response.ok) throw toApiError(response.status, answer);
  return answer as T;
}

/** How long a small request to the API and its answer take, in ms. */
export async function measureRoundTrip(signal: AbortSignal): Promise<number> {
  const start = performance.now();
  await request('health', { signal });
  return performance.now() - start;
}

/** What names a session in a path. */
export type SessionPlace = Pick<Session, 'worker' | 'id'>;

function sessionPath({ worker, id }: SessionPlace): string {
  return `sessions/${encodeURIComponent(worker)}/${encodeURIComponent(id)}`;
}

/** The living sessions of all workers. */
export function listSessions(signal?: AbortSignal): Promise<Session[]> {
  return request('sessions', signal ? { signal } : {});
}

/** The sessions that ended last, with the reasons. */
export function listEndedSessions(signal?: AbortSignal): Promise<Session[]> {
  return request('sessions?ended=true', signal ? { signal } : {});
}

/** Every worker's status. */
export function getWorkers(signal?: AbortSignal): Promise<WorkerStatus[]> {
  return request('workers', signal ? { signal } : {});
}

/** Takes a worker out of service, so that it gets no more sessions, or back; those that run go on. */
export function drainWorker(name: string, on: boolean): Promise<WorkerStatus> {
  return request(`workers/${encodeURIComponent(name)}/drain`, { method: on ? 'POST' : 'DELETE' });
}

/** The fleet's last hour in figures; of samples after a time only, if one is named. */
export function getFleetHistory(after: string | null, signal?: AbortSignal): Promise<FleetHistory> {
  const query = after === null ? '' : `?after=${encodeURIComponent(after)}`;
  return request(`fleet/history${query}`, signal ? { signal } : {});
}

/** A session, also one that has ended, while it is remembered. */
export function getSession(place: SessionPlace, signal?: AbortSignal): Promise<Session> {
  return request(`${sessionPath(place)}?ended=true`, signal ? { signal } : {});
}

/** How the fleet is, and whether anybody may use it. */
export function getHealth(signal?: AbortSignal): Promise<FleetHealth> {
  return request('health', signal ? { signal } : {});
}

/** What happened to a session, oldest first. */
export function getHistory(place: SessionPlace, signal?: AbortSignal): Promise<HistoryEntry[]> {
  return request(`${sessionPath(place)}/events`, signal ? { signal } : {});
}

/** A picture of a session's screen. */
export interface Screenshot {
  picture: Blob;
  /** What the API calls this picture, if it names pictures at all. */
  tag: string | null;
}

async function readScreenshot(response: Response): Promise<Screenshot | undefined> {
  const picture = await response.blob().catch(() => undefined);
  if (!picture?.type.startsWith('image/')) return undefined;
  return { picture, tag: response.headers.get('ETag') };
}

/** What a session's screen shows now, this many pixels wide; `null` while it still is the picture with the known tag. */
export function getScreenshot(
  place: SessionPlace,
  width: number,
  knownTag: string | null,
  signal: AbortSignal,
): Promise<Screenshot | null> {
  const path = `${sessionPath(place)}/screenshot?width=${width}`;
  return request(path, { knownTag, read: readScreenshot, signal });
}

/** Launches a session, which tells its `request_id` from its first moment on; answered when it is READY. */
export function createSession(body: CreateSession, requestId: string): Promise<Session> {
  return request('sessions', { method: 'POST', body, requestId });
}

/** Starts a session's idle clock anew. */
export function touchSession(session: SessionPlace): Promise<Session> {
  return request(`${sessionPath(session)}/touch`, { method: 'POST' });
}

/** Ends a session. */
export function endSession(session: SessionPlace): Promise<EndedSession> {
  return request(sessionPath(session), { method: 'DELETE' });
}

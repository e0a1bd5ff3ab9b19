import { i18n } from '../i18n/i18n.ts';
import type { texts } from '../i18n/texts.ts';
import { apiUrl } from './base.ts';
import { noteServerDate } from '../lib/serverClock.ts';
import { access } from './token.ts';
import type {
  CreateSession,
  EgressReport,
  EndedSession,
  FleetHealth,
  FleetHistory,
  HistoryEntry,
  ProxyCheck,
  ProxyRequest,
  Session,
  WorkerStatus,
} from './types.ts';

/** Timeout of reads; the next poll is due by then anyway. */
const READ_TIMEOUT_MS = 10_000;
/** Timeout of writes: launching a browser takes a while, longer on a busy host. */
const WRITE_TIMEOUT_MS = 90_000;

/** The API refused the request. The message is the API's explanation, if it sent one. */
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

/** Nothing that speaks the API answered: no connection, a timeout, or an error page of a proxy. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';

  /** @param status status code of the answer, if there was one */
  constructor(
    readonly reason: 'timeout' | 'unreachable' | 'foreign',
    readonly status = 0,
  ) {
    super(reason);
  }
}

/** The codes that are explained in the current language too. */
type ExplainedCode = keyof (typeof texts)['en']['errors']['codes'];

/** A failed request explained to the user: in the API's words, else in the panel's, in the current language. */
export function errorText(error: unknown): string {
  if (error instanceof UnreachableError) {
    return i18n.t(`errors:${error.reason}`, { status: error.status });
  }
  if (error instanceof ApiError) {
    const { code, message: detail, status } = error;
    if (detail === '') return i18n.t('errors:unexplained', { status });
    // What went wrong in the current language, and the API's explanation with its names and remedy.
    return i18n.t(`errors:codes.${code as ExplainedCode}`, { detail, defaultValue: detail });
  }
  return error instanceof Error ? error.message : String(error);
}

/** How a request differs from a read of JSON. */
export interface RequestOptions {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  body?: unknown;
  /** A body that is sent as it is, in place of `body`. */
  text?: { type: string; content: string };
  /** The wanted type of the answer; JSON by default. */
  accept?: string;
  /** How long the answer may take, if not as long as others; `null` for as long as it comes. */
  timeoutMs?: number | null;
  signal?: AbortSignal;
  /** The ETag of the copy that the caller has; if it still matches, the result is `null`. */
  knownTag?: string | null;
  /** Reads a successful answer; returns undefined if the answer is not from the API. The default reads JSON. */
  read?: (response: Response) => Promise<unknown>;
  /** Value of the X-Request-Id header, for the API's logs and events. */
  requestId?: string;
}

const timeoutOf = (method: string) => (method === 'GET' ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS);

async function readJson(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

/** The error of an answer, from its body. */
export function toApiError(status: number, body: unknown): ApiError {
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

/** Sends a request to the API. */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const {
    method = 'GET',
    body,
    text,
    signal,
    requestId,
    knownTag = null,
    read = readJson,
  } = options;
  const { accept = 'application/json', timeoutMs = timeoutOf(method) } = options;
  const { token } = access.get();
  const timeout =
    timeoutMs === null ? new AbortController().signal : AbortSignal.timeout(timeoutMs);
  const headers = new Headers({ Accept: accept });
  if (token !== null) headers.set('Authorization', `Bearer ${token}`);
  if (body !== undefined) headers.set('Content-Type', 'application/json');
  if (text !== undefined) headers.set('Content-Type', text.type);
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
      ...(text === undefined ? {} : { body: text.content }),
    });
  } catch (error) {
    // An aborted query says nothing about whether the API is reachable.
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

/** Measures how long a small request to the API takes, in ms. */
export async function measureRoundTrip(signal: AbortSignal): Promise<number> {
  const start = performance.now();
  await request('health', { signal });
  return performance.now() - start;
}

/** What identifies a session in a path. */
export type SessionPlace = Pick<Session, 'worker' | 'id'>;

function sessionPath({ worker, id }: SessionPlace): string {
  return `sessions/${encodeURIComponent(worker)}/${encodeURIComponent(id)}`;
}

/** The live sessions of all workers. */
export function listSessions(signal?: AbortSignal): Promise<Session[]> {
  return request('sessions', signal ? { signal } : {});
}

/** The most recently ended sessions, with their reasons. */
export function listEndedSessions(signal?: AbortSignal): Promise<Session[]> {
  return request('sessions?ended=true', signal ? { signal } : {});
}

/** Every worker's status. */
export function getWorkers(signal?: AbortSignal): Promise<WorkerStatus[]> {
  return request('workers', signal ? { signal } : {});
}

/** Drains a worker, so that it gets no new sessions, or ends the drain; running sessions continue. */
export function drainWorker(name: string, on: boolean): Promise<WorkerStatus> {
  return request(`workers/${encodeURIComponent(name)}/drain`, { method: on ? 'POST' : 'DELETE' });
}

/** Samples of the fleet's last hour; only those after `after`, if given. */
export function getFleetHistory(after: string | null, signal?: AbortSignal): Promise<FleetHistory> {
  const query = after === null ? '' : `?after=${encodeURIComponent(after)}`;
  return request(`fleet/history${query}`, signal ? { signal } : {});
}

/** A session, also an ended one while the API still remembers it. */
export function getSession(place: SessionPlace, signal?: AbortSignal): Promise<Session> {
  return request(`${sessionPath(place)}?ended=true`, signal ? { signal } : {});
}

/** The fleet's health, and whether access to it is unrestricted. */
export function getHealth(signal?: AbortSignal): Promise<FleetHealth> {
  return request('health', signal ? { signal } : {});
}

/** The events of a session, oldest first. */
export function getHistory(place: SessionPlace, signal?: AbortSignal): Promise<HistoryEntry[]> {
  return request(`${sessionPath(place)}/events`, signal ? { signal } : {});
}

/** A screenshot of a session. */
export interface Screenshot {
  picture: Blob;
  /** Its ETag, if the API sent one. */
  tag: string | null;
}

async function readScreenshot(response: Response): Promise<Screenshot | undefined> {
  const picture = await response.blob().catch(() => undefined);
  if (!picture?.type.startsWith('image/')) return undefined;
  return { picture, tag: response.headers.get('ETag') };
}

/** A screenshot of a session, `width` pixels wide; `null` if the one with the known ETag is still current. */
export function getScreenshot(
  place: SessionPlace,
  width: number,
  knownTag: string | null,
  signal: AbortSignal,
): Promise<Screenshot | null> {
  const path = `${sessionPath(place)}/screenshot?width=${width}`;
  return request(path, { knownTag, read: readScreenshot, signal });
}

/**
 * Launches a session. The answer comes when it is READY; before that it can be recognized by its
 * `request_id`.
 */
export function createSession(body: CreateSession, requestId: string): Promise<Session> {
  return request('sessions', { method: 'POST', body, requestId });
}

/** Restarts a session's idle clock. */
export function touchSession(session: SessionPlace): Promise<Session> {
  return request(`${sessionPath(session)}/touch`, { method: 'POST' });
}

/** Changes how a session's connections leave; null for the worker's default. Open connections are closed. */
export function changeProxy(session: SessionPlace, proxy: ProxyRequest | null): Promise<Session> {
  return request(sessionPath(session), { method: 'PATCH', body: { proxy } });
}

/**
 * Checks what sites see of a browser with a proxy; null for the default. A proxy that does not work is a result, not
 * an error.
 *
 * @param worker the worker that checks it; null lets the API choose one
 * @param profile the name of the profile whose proxy is the default
 */
export function checkProxy(
  proxy: ProxyRequest | null,
  worker: string | null,
  signal: AbortSignal,
  profile: string | null = null,
): Promise<ProxyCheck> {
  const body = {
    ...(proxy !== null && { proxy }),
    ...(worker !== null && { worker }),
    ...(profile !== null && { profile }),
  };
  return request('proxies/check', { method: 'POST', body, signal });
}

/** What a session's browser connected to. */
export function getEgress(session: SessionPlace, signal?: AbortSignal): Promise<EgressReport> {
  return request(`${sessionPath(session)}/egress`, signal ? { signal } : {});
}

/** Ends a session. */
export function endSession(session: SessionPlace): Promise<EndedSession> {
  return request(sessionPath(session), { method: 'DELETE' });
}

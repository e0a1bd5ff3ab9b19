import { apiUrl } from './base.ts';
import { noteServerDate } from './clock.ts';
import { noteAnswer, noteSilence } from './reachability.ts';
import { access } from './token.ts';
import type { CreateSession, EndedSession, FleetHealth, Session } from './types.ts';

/** A poll that takes longer than this is given up; the next one is due anyway. */
const READ_TIMEOUT_MS = 10_000;
/** Launching a browser takes a while, more so on a busy host. */
const WRITE_TIMEOUT_MS = 90_000;

/** The API answered, and the answer was no. The message is meant for the person at the panel. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

/** Nothing that speaks the API answered: no connection, a timeout, or a proxy's own error page. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

/** What to tell the person about a failed request. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface RequestOptions {
  method?: 'GET' | 'POST' | 'DELETE';
  body?: unknown;
  signal?: AbortSignal;
}

function silence(message: string): UnreachableError {
  noteSilence();
  return new UnreachableError(message);
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
    typeof detail === 'string' ? detail : `The API answered with status ${status}.`,
  );
}

async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const { method = 'GET', body, signal } = options;
  const { token } = access.get();
  const timeout = AbortSignal.timeout(method === 'GET' ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS);
  const headers = new Headers({ Accept: 'application/json' });
  if (token !== null) headers.set('Authorization', `Bearer ${token}`);
  if (body !== undefined) headers.set('Content-Type', 'application/json');

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
    throw silence(
      timeout.aborted ? 'The API did not answer in time.' : 'The API can’t be reached.',
    );
  }

  noteServerDate(response.headers.get('Date'));
  const answer = await readJson(response);
  if (answer === undefined) {
    if (signal?.aborted) throw new DOMException('The request was cancelled.', 'AbortError');
    throw silence(`Something else than the API answered, with status ${response.status}.`);
  }
  noteAnswer();
  if (response.status === 401) access.refuse(token);
  if (!response.ok) throw toApiError(response.status, answer);
  return answer as T;
}

function sessionPath(session: Session): string {
  return `sessions/${encodeURIComponent(session.worker)}/${encodeURIComponent(session.id)}`;
}

/** The living sessions of all workers. */
export function listSessions(signal?: AbortSignal): Promise<Session[]> {
  return request('sessions', signal ? { signal } : {});
}

/** The sessions that ended last, with the reasons. */
export function listEndedSessions(signal?: AbortSignal): Promise<Session[]> {
  return request('sessions?ended=true', signal ? { signal } : {});
}

/** The fleet's health and every worker's. */
export function getFleetHealth(signal?: AbortSignal): Promise<FleetHealth> {
  return request('health', signal ? { signal } : {});
}

/** Launches a session. */
export function createSession(body: CreateSession): Promise<Session> {
  return request('sessions', { method: 'POST', body });
}

/** Starts a session's idle clock anew. */
export function touchSession(session: Session): Promise<Session> {
  return request(`${sessionPath(session)}/touch`, { method: 'POST' });
}

/** Ends a session. */
export function endSession(session: Session): Promise<EndedSession> {
  return request(sessionPath(session), { method: 'DELETE' });
}

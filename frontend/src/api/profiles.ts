import { noteServerDate } from '../lib/serverClock.ts';
import { apiUrl } from './base.ts';
import { request, toApiError, UnreachableError } from './client.ts';
import { access } from './token.ts';
import type { CloneRequest, Cookie, Profile, ProfilePatch, ProfileRequest } from './types.ts';

/** Reading or writing cookies may start the profile's browser. */
const COOKIES_TIMEOUT_MS = 90_000;
/** How many bytes of a download are held in memory before they become a part of the file, which may be on the disk. */
const PART_BYTES = 8 << 20;

/** What identifies a profile in a path. */
export type ProfilePlace = Pick<Profile, 'name' | 'worker'>;

function profilePath({ name, worker }: ProfilePlace, route = ''): string {
  // Several workers may have a profile with this name.
  const query = worker === undefined ? '' : `?worker=${encodeURIComponent(worker)}`;
  return `profiles/${encodeURIComponent(name)}${route}${query}`;
}

/** Reads an answer without a body. */
const readNothing = () => Promise.resolve(null);

/** The profiles of all workers, by name. */
export function listProfiles(signal?: AbortSignal): Promise<Profile[]> {
  return request('profiles', signal ? { signal } : {});
}

/** Makes a profile. */
export function createProfile(body: ProfileRequest): Promise<Profile> {
  return request('profiles', { method: 'POST', body });
}

/** Changes labels, notes or proxy of a profile. */
export function changeProfile(profile: ProfilePlace, body: ProfilePatch): Promise<Profile> {
  return request(profilePath(profile), { method: 'PATCH', body });
}

/** Deletes a profile with its data. */
export function deleteProfile(profile: ProfilePlace): Promise<null> {
  return request(profilePath(profile), { method: 'DELETE', read: readNothing });
}

/** Makes a profile from another one, on the same worker. */
export function cloneProfile(profile: ProfilePlace, body: CloneRequest): Promise<Profile> {
  return request(profilePath(profile, '/clone'), { method: 'POST', body });
}

/** The cookies of a profile. */
export function readCookies(profile: ProfilePlace, signal: AbortSignal): Promise<Cookie[]> {
  return request(profilePath(profile, '/cookies'), { signal, timeoutMs: COOKIES_TIMEOUT_MS });
}

/** The cookies of a profile in Netscape's text format. */
export function readCookiesAsText(profile: ProfilePlace): Promise<string> {
  return request(profilePath(profile, '/cookies'), {
    accept: 'text/plain',
    timeoutMs: COOKIES_TIMEOUT_MS,
    read: (response) => response.text(),
  });
}

/** Whether cookies are Playwright's JSON; else they are Netscape's text. */
function isJson(cookies: string): boolean {
  return /^\s*[[{]/.test(cookies);
}

/** Replaces all cookies of a profile: by Playwright's JSON, or Netscape's text. */
export function writeCookies(profile: ProfilePlace, cookies: string): Promise<null> {
  return request(profilePath(profile, '/cookies'), {
    method: 'PUT',
    text: { type: isJson(cookies) ? 'application/json' : 'text/plain', content: cookies },
    read: readNothing,
  });
}

/**
 * Downloads a profile as an archive.
 *
 * @param onBytes called with the number of bytes that have come
 */
export function exportProfile(
  profile: ProfilePlace,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Blob> {
  const read = async (response: Response): Promise<Blob | undefined> => {
    const { body } = response;
    const type = 'application/zstd';
    if (!body || response.headers.get('Content-Type') !== type) return undefined;
    let parts: BlobPart[] = [];
    let [bytes, loose] = [0, 0];
    const reader = body.getReader();
    try {
      for (let next = await reader.read(); !next.done; next = await reader.read()) {
        parts.push(next.value);
        bytes += next.value.length;
        loose += next.value.length;
        if (loose > PART_BYTES) {
          parts = [new Blob(parts)];
          loose = 0;
        }
        onBytes(bytes);
      }
    } catch (error) {
      if (signal.aborted) throw error;
      // The worker could not read all of it, or is gone.
      throw new UnreachableError('unreachable');
    }
    return new Blob(parts, { type });
  };
  return request(profilePath(profile, '/archive'), {
    accept: 'application/zstd',
    timeoutMs: null,
    read,
    signal,
  });
}

/** Where an import goes, and what it is called there. */
export interface ImportTarget {
  name: string;
  /** The worker that gets it; null lets the API choose one. */
  worker: string | null;
}

/**
 * Makes a profile of an archive.
 *
 * @param onBytes called with the number of bytes that were sent
 */
export function importProfile(
  archive: Blob,
  { name, worker }: ImportTarget,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Profile> {
  const url = apiUrl('profiles/import');
  url.searchParams.set('name', name);
  if (worker !== null) url.searchParams.set('worker', worker);
  const { token } = access.get();
  // `fetch` does not say how much it has sent.
  const sending = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    const cancel = () => {
      sending.abort();
    };
    signal.addEventListener('abort', cancel);
    sending.upload.addEventListener('progress', ({ loaded }) => {
      onBytes(loaded);
    });
    sending.addEventListener('load', () => {
      noteServerDate(sending.getResponseHeader('Date'));
      const answer = parsed(sending.responseText);
      if (answer === undefined) reject(new UnreachableError('foreign', sending.status));
      else if (sending.status === 201) resolve(answer as Profile);
      else {
        if (sending.status === 401) access.refuse(token);
        reject(toApiError(sending.status, answer));
      }
    });
    sending.addEventListener('error', () => {
      reject(new UnreachableError('unreachable'));
    });
    sending.addEventListener('abort', () => {
      reject(new DOMException('The request was cancelled.', 'AbortError'));
    });
    sending.addEventListener('loadend', () => {
      signal.removeEventListener('abort', cancel);
    });
    sending.open('POST', url);
    sending.setRequestHeader('Accept', 'application/json');
    sending.setRequestHeader('Content-Type', 'application/zstd');
    if (token !== null) sending.setRequestHeader('Authorization', `Bearer ${token}`);
    if (signal.aborted) reject(new DOMException('The request was cancelled.', 'AbortError'));
    else sending.send(archive);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

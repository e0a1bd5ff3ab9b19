/** The gateway's information about a live view. */
export type ViewInfo =
  /** The view shows this session and opens with this key; each is null if the gateway does not know it. */
  | { state: 'shown'; session: string | null; key: string | null }
  /** Permanent: the session is over, the view does not exist, or the address does not open it. */
  | { state: 'over' | 'absent' | 'locked' }
  /** Temporary: the session is being restarted, and its view comes back. */
  | { state: 'restarting' }
  /** No answer, or one of another server: an original gateway, a proxy. */
  | { state: 'unknown' };

/** The error codes of the gateway that say more than that there is no info. */
const REFUSALS: Readonly<Record<string, 'over' | 'absent' | 'locked' | 'restarting'>> = {
  view_over: 'over',
  vnc_not_found: 'absent',
  unauthorized: 'locked',
  view_key_required: 'locked',
  restarting: 'restarting',
};

/** The answer is one short line, so a slower gateway counts as not answering. */
const TIMEOUT_MS = 5000;

/**
 * The URL of the view info for a live view's WebSocket. Null for another origin, whose answers a page can't
 * read.
 *
 * @param socket the URL of the WebSocket
 */
export function viewInfoUrl(socket: URL): URL | null {
  const url = new URL(socket);
  url.protocol = socket.protocol === 'wss:' ? 'https:' : 'http:';
  url.pathname = `${socket.pathname.replace(/\/+$/, '')}/view`;
  return url.origin === window.location.origin ? url : null;
}

/**
 * Fetches the information about a live view.
 *
 * @param url the result of {@link viewInfoUrl}
 * @param signal aborts the request, which then resolves to `unknown`
 */
export async function fetchViewInfo(url: URL, signal: AbortSignal): Promise<ViewInfo> {
  try {
    const response = await fetch(url, {
      headers: { Accept: 'application/json' },
      cache: 'no-store',
      // A redirect would lead to a proxy's login page.
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    return readInfo(response.ok, await response.json());
  } catch {
    return { state: 'unknown' };
  }
}

function readInfo(ok: boolean, body: unknown): ViewInfo {
  const { session, key, code } = (typeof body === 'object' && body !== null ? body : {}) as Record<
    string,
    unknown
  >;
  if (!ok) {
    const state =
      typeof code === 'string' && Object.hasOwn(REFUSALS, code) ? REFUSALS[code] : undefined;
    return { state: state ?? 'unknown' };
  }
  if (!isStringOrNull(session) || !isStringOrNull(key)) return { state: 'unknown' };
  return { state: 'shown', session, key };
}

function isStringOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

/** What the gateway says of a live view. */
export type ViewInfo =
  /** It shows this session, and opens with this key; each is null where the gateway does not know it. */
  | { state: 'shown'; session: string | null; key: string | null }
  /** Nothing more to come: its session is over, there is no such view, or the address does not open it. */
  | { state: 'over' | 'absent' | 'locked' }
  /** No answer, or somebody else's: an original gateway's, a proxy's. */
  | { state: 'unknown' };

/** The gateway's refusals that another attempt would meet again, by their codes. */
const PERMANENT_REFUSALS: Readonly<Record<string, 'over' | 'absent' | 'locked'>> = {
  view_over: 'over',
  vnc_not_found: 'absent',
  unauthorized: 'locked',
  view_key_required: 'locked',
};

/** An answer is a line of text; a gateway that needs longer for it is as good as silent. */
const TIMEOUT_MS = 5000;

/**
 * Where to ask what a live view's WebSocket leads to. Null for one of another origin, whose answers no page may read.
 *
 * @param socket the WebSocket's address
 */
export function viewInfoUrl(socket: URL): URL | null {
  const url = new URL(socket);
  url.protocol = socket.protocol === 'wss:' ? 'https:' : 'http:';
  url.pathname = `${socket.pathname.replace(/\/+$/, '')}/view`;
  return url.origin === window.location.origin ? url : null;
}

/**
 * Asks what a live view shows.
 *
 * @param url what {@link viewInfoUrl} returned
 * @param signal ends the url, which is then answered with `unknown`
 */
export async function fetchViewInfo(url: URL, signal: AbortSignal): Promise<ViewInfo> {
  try {
    const response = await fetch(url, {
      headers: { Accept: 'application/json' },
      cache: 'no-store',
      // To a proxy's login, if anywhere.
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
      typeof code === 'string' && Object.hasOwn(PERMANENT_REFUSALS, code)
        ? PERMANENT_REFUSALS[code]
        : undefined;
    return { state: state ?? 'unknown' };
  }
  if (!isStringOrNull(session) || !isStringOrNull(key)) return { state: 'unknown' };
  return { state: 'shown', session, key };
}

function isStringOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

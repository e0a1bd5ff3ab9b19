/** The parts of the noVNC page's address. */
export interface LiveAddress {
  /** The live view's id. */
  id: string;
  /** The path in front of `/vnc/`, with a trailing slash. */
  prefix: string;
}

/**
 * Reads the id from the page's path: `/vnc/6900`, `/fleet/vnc/6900/`, `/vnc/6900/vnc.html`. Null if the path
 * has none.
 */
export function parseLivePath(pathname: string): LiveAddress | null {
  const match = /^(.*?\/)vnc\/([^/]+)(?:\/|$)/.exec(pathname);
  const [, prefix, id] = match ?? [];
  if (prefix === undefined || id === undefined) return null;
  try {
    return { prefix, id: decodeURIComponent(id) };
  } catch {
    return null;
  }
}

/**
 * The WebSocket URL of a noVNC page, with the view's key, or else the access token. The key is preferred
 * because it opens this view alone, and URLs appear in the logs of proxies.
 */
export function livePageSocket(
  page: URL,
  address: LiveAddress,
  { key, token }: { key: string | null; token: string | null },
): URL {
  const url = new URL(`${address.prefix}websockify`, page);
  url.protocol = page.protocol === 'https:' ? 'wss:' : 'ws:';
  url.searchParams.set('token', address.id);
  if (key !== null && key !== '') url.searchParams.set('key', key);
  else if (token !== null) url.searchParams.set('access_token', token);
  return url;
}

/** Whether a query switch such as `?view_only=1` is on. */
export function isSwitchedOn(value: string | null): boolean {
  return value !== null && ['', '1', 'true', 'yes', 'on'].includes(value.toLowerCase());
}

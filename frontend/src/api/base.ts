/**
 * The folder the panel is served from, with a trailing slash: `/fleet/`, `/fleet/index.html` and
 * `/fleet/?a=b` all give `/fleet/`.
 */
export function panelBase(baseUri: string = document.baseURI): URL {
  return new URL('.', baseUri);
}

/** The address of an API route (`sessions`, `health`, …); every route answers below `api/`. */
export function apiUrl(path: string, baseUri?: string): URL {
  return new URL(`api/${path}`, panelBase(baseUri));
}

/**
 * Makes an address from the API absolute. A leading `/` means the panel's own folder, because the API does
 * not know the path prefix of an ingress. An address that already has that prefix (CONTROL_PUBLIC_API_PREFIX)
 * stays as it is.
 */
export function publicUrl(address: string, baseUri?: string): URL {
  const base = panelBase(baseUri);
  if (!address.startsWith('/') || address.startsWith('//') || address.startsWith(base.pathname)) {
    return new URL(address, base);
  }
  return new URL(address.slice(1), base);
}

/** Like {@link publicUrl}, with the matching WebSocket scheme: `wss` for `https`, else `ws`. */
export function webSocketUrl(address: string, baseUri?: string): URL {
  const url = publicUrl(address, baseUri);
  if (url.protocol === 'https:') url.protocol = 'wss:';
  if (url.protocol === 'http:') url.protocol = 'ws:';
  return url;
}

/**
 * The WebSocket URL of a session's live view. The access token is added if the address has no key of its own.
 * It goes into the query because browsers can't set headers on a WebSocket, and only to the panel's own host.
 */
export function liveViewUrl(address: string, token: string | null, baseUri?: string): URL {
  const url = webSocketUrl(address, baseUri);
  const opens = url.searchParams.has('key');
  if (token !== null && !opens && url.host === panelBase(baseUri).host) {
    url.searchParams.set('access_token', token);
  }
  return url;
}

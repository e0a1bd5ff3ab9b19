/** The sessionStorage key that the panel and the noVNC page share. */
export const TOKEN_KEY = 'camofleet.token';

/** The stored token; a browser that blocks storage just has none. */
export function storedToken(): string | null {
  try {
    return sessionStorage.getItem(TOKEN_KEY);
  } catch {
    return null;
  }
}

/** Keeps the token for this tab, or with null forgets it. */
export function storeToken(token: string | null): void {
  try {
    if (token === null) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // Without storage the token lives as long as the page.
  }
}

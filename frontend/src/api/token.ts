import { Store } from '../lib/store.ts';

/** The sessionStorage key that the panel and the noVNC page share. */
export const TOKEN_KEY = 'camofleet.token';

/** The stored token; null where the browser blocks storage. */
export function storedToken(): string | null {
  try {
    return sessionStorage.getItem(TOKEN_KEY);
  } catch {
    return null;
  }
}

/** Stores the token for this tab; null removes it. */
function storeToken(token: string | null): void {
  try {
    if (token === null) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // Without storage the token lasts as long as the page.
  }
}

/** What is known about the access token. */
export interface Access {
  /** The token sent with every request, if there is one. */
  token: string | null;
  /** Whether the API answered 401 to the current token. */
  refused: boolean;
}

/** The access token, and whether the API refused it. */
export class AccessStore extends Store<Access> {
  constructor() {
    super({ token: storedToken(), refused: false });
  }

  /** Stores a token; the next request tries it. */
  accept(token: string): void {
    storeToken(token);
    this.set({ token, refused: false });
  }

  /** Removes the token. Whether the API needs one shows with the next answer. */
  forget(): void {
    storeToken(null);
    this.set({ token: null, refused: false });
  }

  /** Records that the API answered 401 to this token; a token set since then is not affected. */
  refuse(token: string | null): void {
    if (this.get().token === token) this.set({ token, refused: true });
  }
}

/** The access token of this tab. */
export const access = new AccessStore();

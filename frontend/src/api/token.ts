import { Store } from '../lib/store.ts';

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
function storeToken(token: string | null): void {
  try {
    if (token === null) sessionStorage.removeItem(TOKEN_KEY);
    else sessionStorage.setItem(TOKEN_KEY, token);
  } catch {
    // Without storage the token lives as long as the page.
  }
}

/** What is known about the access token. */
export interface Access {
  /** The token sent with every request, if there is one. */
  token: string | null;
  /** Set once the API has answered 401, until another token is given. */
  refused: boolean;
}

/** The access token and whether the API wants another one. */
export class AccessStore extends Store<Access> {
  constructor() {
    super({ token: storedToken(), refused: false });
  }

  /** Keeps a token for this tab and has it tried. */
  accept(token: string): void {
    storeToken(token);
    this.set({ token, refused: false });
  }

  /** Forgets the token; what the API thinks of that, the next answer tells. */
  forget(): void {
    storeToken(null);
    this.set({ token: null, refused: false });
  }

  /** Notes that the API answered 401 to this token; a token given since then is not affected. */
  refuse(token: string | null): void {
    if (this.get().token === token) this.set({ token, refused: true });
  }
}

/** The access token of this tab. */
export const access = new AccessStore();

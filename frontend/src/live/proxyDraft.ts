import type { ProxyRequest, ProxyView } from '../api/types.ts';

/** The fields of a form that choose a proxy. */
export interface ProxyDraft {
  /** `''`: the worker's default; `own`: the server of the other fields. */
  kind: '' | 'direct' | 'pool' | 'own';
  /** The name of the worker's pool. */
  pool: string;
  /** A URL, or `host:port` of an HTTP proxy. */
  server: string;
  username: string;
  password: string;
  /** Destinations that are connected to without it, separated by commas. */
  bypass: string;
}

/** The worker's default. */
export const DEFAULT_PROXY: ProxyDraft = {
  kind: '',
  pool: '',
  server: '',
  username: '',
  password: '',
  bypass: '',
};

/** A form for another proxy in place of this one, whose credentials are not known. */
export function draftOf(proxy: ProxyView | null): ProxyDraft {
  if (proxy === null) return { ...DEFAULT_PROXY, kind: 'direct' };
  if (proxy.pool !== null) return { ...DEFAULT_PROXY, kind: 'pool', pool: proxy.pool };
  return { ...DEFAULT_PROXY, kind: 'own', server: proxy.server ?? '' };
}

type Address = Pick<ProxyDraft, 'server' | 'username' | 'password'>;

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Separates credentials from an address, in the forms that vendors of proxies use: a URL with
 * `user:password@`, and `host:port:user:password`. Null if there are none.
 */
export function splitAddress(text: string): Address | null {
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*:\/\/)?(.*)$/is.exec(text.trim()) ?? [];
  const at = rest.lastIndexOf('@');
  if (at !== -1) {
    const [, username = '', password = ''] = /^([^:]*):?(.*)$/s.exec(rest.slice(0, at)) ?? [];
    return {
      server: scheme + rest.slice(at + 1),
      username: decoded(username),
      password: decoded(password),
    };
  }
  // An IPv6 address has colons too, but no port as its second part and no more than digits in brackets.
  const vendors = /^([\w.-]+:\d{1,5}):([^:]+):(.*)$/s.exec(rest);
  if (!vendors || /^[\da-f:]+$/i.test(rest)) return null;
  const [, server = '', username = '', password = ''] = vendors;
  return { server: scheme + server, username, password };
}

/** The form with credentials in their own fields, wherever they were typed. */
export function inFields(draft: ProxyDraft): ProxyDraft {
  const address = splitAddress(draft.server);
  return address === null ? draft : { ...draft, ...address };
}

/** The form without the password, for what is stored or shown. */
export function withoutPassword(draft: ProxyDraft): ProxyDraft {
  return { ...inFields(draft), password: '' };
}

/** The proxy of a request; null for the worker's default. */
export function toProxy(draft: ProxyDraft): ProxyRequest | null {
  switch (draft.kind) {
    case '':
      return null;
    case 'direct':
      return 'direct';
    case 'pool':
      return draft.pool;
    case 'own': {
      const { server, username, password, bypass } = inFields(draft);
      return {
        server: server.trim(),
        ...(username !== '' || password !== '' ? { username, password } : {}),
        ...(bypass.trim() !== '' ? { bypass: bypass.trim() } : {}),
      };
    }
  }
}

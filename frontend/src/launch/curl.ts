import type { CreateSession } from '../api/types.ts';
import { TOKEN_VARIABLE } from '../sessions/snippets.ts';

/** Stands for the proxy's password: a copied command contains no secret. */
export const PASSWORD_PLACEHOLDER = 'PASSWORD';

/** A text as one word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** Whether a request has the password of a proxy. */
export function hasPassword({ proxy }: CreateSession): boolean {
  return typeof proxy === 'object' && proxy !== null && (proxy.password ?? '') !== '';
}

/**
 * The command that sends a create request, without secrets.
 *
 * @param url the absolute URL of the sessions
 * @param tokenNeeded whether the fleet needs an access token, which is then read from the environment
 */
export function curlCommand(url: string, request: CreateSession, tokenNeeded: boolean): string {
  const { proxy } = request;
  const shown =
    hasPassword(request) && typeof proxy === 'object'
      ? { ...request, proxy: { ...proxy, password: PASSWORD_PLACEHOLDER } }
      : request;
  return [
    `curl ${quoted(url)}`,
    ...(tokenNeeded ? [`--header "Authorization: Bearer $${TOKEN_VARIABLE}"`] : []),
    "--header 'Content-Type: application/json'",
    `--data ${quoted(JSON.stringify(shown, null, 2))}`,
  ].join(' \\\n  ');
}

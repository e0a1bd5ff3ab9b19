import { i18n } from '../i18n/i18n.ts';
import { inFields, type ProxyDraft } from '../live/proxyDraft.ts';

/** What is missing in the fields of an own proxy; the API checks the rest. */
export function ownProxyProblem(draft: ProxyDraft): string | undefined {
  if (draft.kind !== 'own') return undefined;
  const { server, username, password } = inFields(draft);
  if (server.trim() === '') return i18n.t('network:problems.noServer');
  if (username === '' && password !== '') return i18n.t('network:problems.noUsername');
  return undefined;
}

import { ApiError } from '../api/client.ts';
import type { EgressFacts, EgressTotals, ProxyView, Session, WorkerStatus } from '../api/types.ts';
import { i18n } from '../i18n/i18n.ts';
import type { texts } from '../i18n/texts.ts';

/** What requests may choose of the connections on a worker; null if it does not report that. */
export function egressFacts({ detail }: WorkerStatus): EgressFacts | null {
  return 'facts' in detail ? (detail.facts?.egress ?? null) : null;
}

/** Whether a worker answers and has no control over its browsers' connections. */
export function lacksEgress(worker: WorkerStatus): boolean {
  return !('error' in worker.detail) && egressFacts(worker) === null;
}

/** A pool of proxies that a request may name. */
export interface PoolChoice {
  name: string;
  /** The workers that have it; null if all do. */
  only: readonly string[] | null;
}

/** The pools of proxies that some of these workers have. */
export function poolsOf(workers: readonly WorkerStatus[]): PoolChoice[] {
  const owners = new Map<string, string[]>();
  for (const worker of workers) {
    for (const pool of egressFacts(worker)?.proxies ?? []) {
      owners.set(pool, [...(owners.get(pool) ?? []), worker.name]);
    }
  }
  return [...owners]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, names]) => ({ name, only: names.length === workers.length ? null : names }));
}

/** A proxy as a request names it, also the value of a filter: `direct`, the name of a pool, or a URL. */
export function exitKey(proxy: ProxyView | null): string {
  return proxy?.server ?? proxy?.pool ?? 'direct';
}

/** A proxy in the current language. */
export function exitText(proxy: ProxyView | null): string {
  // A profile whose sessions have no proxy says so; of a session it is null.
  if (proxy === null || proxy.server === 'direct') return i18n.t('network:direct');
  return proxy.server ?? i18n.t('network:pool', { pool: proxy.pool ?? '' });
}

/** A proxy in a narrow column: the scheme says the least. */
export function shortExitText(proxy: ProxyView | null): string {
  return exitText(proxy).replace(/^[a-z0-9]+:\/\//, '');
}

/** The text of the choice for the default, as far as these workers agree on it. */
export function defaultExitText(facts: readonly (EgressFacts | null)[]): string {
  const texts = new Set(facts.map((one) => one && exitText(one.default_proxy)));
  if (texts.size > 1) return i18n.t('network:field.defaultVaries');
  const [value] = texts;
  return value == null
    ? i18n.t('network:field.default')
    : i18n.t('network:field.defaultIs', { value });
}

/** The choice to leave the proxy to the profile of a session. */
export function profileExitText(proxy: ProxyView | null): string {
  if (proxy === null) return i18n.t('network:field.ofProfileUnset');
  return i18n.t('network:field.ofProfile', { value: exitText(proxy) });
}

/** The exits of some sessions as their texts by {@link exitKey}, sorted; not of sessions without control over it. */
export function exitsOf(sessions: readonly Session[]): Map<string, string> {
  const exits = new Map<string, string>();
  for (const { proxy, egress } of sessions) {
    if (egress !== null) exits.set(exitKey(proxy), exitText(proxy));
  }
  return new Map([...exits].sort(([, a], [, b]) => a.localeCompare(b)));
}

/** All bytes of a session. */
export function totalBytes(egress: EgressTotals | null): number {
  return egress === null ? -1 : egress.bytes_up + egress.bytes_down;
}

type Texts = (typeof texts)['en']['network'];

type Refusal = keyof Texts['refusals'];

/** A reason for refused connections in the current language; one that this panel does not know is shown unchanged. */
export function refusalText(reason: string): string {
  return i18n.t(`network:refusals.${reason as Refusal}`, { defaultValue: reason });
}

type Policy = keyof Texts['policies'];

/** A policy for destinations in the current language; one that this panel does not know is shown unchanged. */
export function policyText(policy: string): string {
  return i18n.t(`network:policies.${policy as Policy}`, { defaultValue: policy });
}

/** An exit as the history of a session says it: `direct`, a URL, or a pool. */
export function exitDetailText(detail: string): string {
  if (detail === 'direct') return i18n.t('network:direct');
  const pool = /^the pool (.+)$/.exec(detail)?.[1];
  return pool === undefined ? detail : i18n.t('network:pool', { pool });
}

type BlockList = keyof Texts['blocked']['lists'];

/** The name of a block list: a built-in one in the current language, one from a file as it is called. */
export function blockListText(name: string): string {
  return i18n.t(`network:blocked.lists.${name as BlockList}`, { defaultValue: name });
}

/** The names of some block lists, the built-in ones first: they are phrases. */
export function blockListTexts(names: readonly string[], text = blockListText): string {
  const isBuiltIn = (name: string) => blockListText(name) !== name;
  return names
    .toSorted((a, b) => Number(isBuiltIn(b)) - Number(isBuiltIn(a)))
    .map(text)
    .join(', ');
}

/** What the API says about the proxy of a request, if that is why it was refused. */
export function proxyRefusal(error: unknown): string | null {
  if (!(error instanceof ApiError)) return null;
  if (error.code === 'no_egress') return i18n.t('network:problems.noEgress');
  return error.code === 'invalid_field' && error.message.startsWith('proxy:')
    ? error.message
    : null;
}

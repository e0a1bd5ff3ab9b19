import { ApiError, errorText } from '../api/client.ts';
import type { EgressFacts, ProxyCheck, WorkerStatus } from '../api/types.ts';
import { i18n } from '../i18n/i18n.ts';
import type { texts } from '../i18n/texts.ts';
import type { ProxyDraft } from '../live/proxyDraft.ts';
import { egressFacts, lacksEgress, refusalText } from './exits.ts';

/** The worker that checks a proxy. */
export interface Checker {
  /** Null if none of the workers reports what it can; the API chooses one then. */
  name: string | null;
  /** Null if it does not report what it can. */
  facts: EgressFacts | null;
}

/**
 * The worker that checks a proxy, among those on which the session may run: one that has the pool and can check, as
 * far as there is one. This is how the API chooses among all workers, so that the answer is that of a worker which suits
 * the session, and the panel knows whose city database it came from.
 *
 * @param named the worker that the form names; empty if any will do
 */
export function checkerOf(
  workers: readonly WorkerStatus[],
  named: string,
  { kind, pool }: ProxyDraft,
): Checker {
  if (named !== '') {
    const worker = workers.find(({ name }) => name === named);
    return { name: named, facts: worker ? egressFacts(worker) : null };
  }
  let best: { checker: Checker; suitability: number } | null = null;
  for (const worker of workers) {
    const facts = egressFacts(worker);
    if (facts === null) continue;
    const hasPool = kind !== 'pool' || facts.proxies.includes(pool);
    const suitability = 2 * Number(hasPool) + Number(facts.checks_proxies);
    if (best === null || suitability > best.suitability) {
      best = { checker: { name: worker.name, facts }, suitability };
    }
  }
  return best?.checker ?? { name: null, facts: null };
}

/**
 * Why the workers on which the session may run can't check any proxy; null if they can, or it is not known.
 *
 * @param named the worker that has to check; empty if it is the only one, or any will do
 */
export function checkObstacle(
  workers: readonly WorkerStatus[],
  { facts }: Checker,
  named: string,
): string | null {
  if (facts === null) {
    const none = workers.length > 0 && workers.every(lacksEgress);
    return none ? i18n.t('network:problems.noEgress') : null;
  }
  if (facts.checks_proxies) return null;
  return named === ''
    ? i18n.t('network:check.noService')
    : i18n.t('network:check.noServiceOn', { worker: named });
}

/** Databases that are not DB-IP's, by the names that their makers give them. */
const OTHER_DATABASES = /geolite|geoip|ip2|ipinfo/i;

/**
 * Whether a place may come from a database of DB-IP, whose licence requires a link then. Not all of its editions say
 * whose they are.
 *
 * @param database what the worker says of its city database; null if it says nothing
 */
export function needsCredit(database: string | null): boolean {
  return database === null || !OTHER_DATABASES.test(database);
}

type Texts = (typeof texts)['en']['network']['check'];

/** Why a proxy does not work: in the current language if the reason has a code, else in the API's words. */
export function checkFailureText({ code, error }: ProxyCheck): string {
  const detail = error ?? '';
  // Machines with an earlier version send no code.
  if (!code) return detail;
  if (code === 'service_failed') return i18n.t('network:check.serviceFailed', { detail });
  const text = refusalText(code);
  return text === code ? detail : text;
}

/** Why there is no result of a check: in the current language if the error's code is one of those, else in the API's words. */
export function checkErrorText(error: unknown): string {
  if (!(error instanceof ApiError)) return errorText(error);
  if (error.code === 'no_egress') return i18n.t('network:problems.noEgress');
  return i18n.t(`network:check.errors.${error.code as keyof Texts['errors']}`, {
    defaultValue: errorText(error),
  });
}

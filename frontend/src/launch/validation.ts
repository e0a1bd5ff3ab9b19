import '../i18n/launch.ts';

import { i18n } from '../i18n/i18n.ts';
import { ApiError, errorText } from '../api/client.ts';
import type { WorkerStatus } from '../api/types.ts';
import { lacksEgress, poolsOf } from '../sessions/exits.ts';
import { ownProxyProblem } from '../sessions/proxyProblem.ts';
import { NO_IDENTITY, unreadable } from '../live/identityDraft.ts';
import { ANY_MACHINE } from '../live/machineDraft.ts';
import { isProfileName, PROFILE_NAME_MAX_LENGTH } from '../live/profileName.ts';
import { candidates } from './defaults.ts';
import { type LabelRow, type LaunchDraft, toRequest } from '../live/launchDraft.ts';

/** The API's limits for the idle TTL, in seconds. */
export const IDLE_TTL_SECONDS = { min: 30, max: 3600 } as const;
/** The same for a session with a profile, beside 0. */
export const LONG_IDLE_TTL_SECONDS = { min: 30, max: 2_592_000 } as const;
/** The longest start URL that the API accepts, in characters. */
export const START_URL_MAX_LENGTH = 1024;
/** The largest request that the API accepts, in bytes. */
const BODY_MAX_BYTES = 65_536;

/** The problems of a draft by field; those of labels by row number. */
export interface LaunchProblems {
  worker?: string;
  profile?: string;
  vnc?: string;
  idleTtlSeconds?: string;
  startUrl?: string;
  proxy?: string;
  locale?: string;
  timezone?: string;
  geolocation?: string;
  screen?: string;
  os?: string;
  fonts?: string;
  addons?: string;
  seed?: string;
  humanize?: string;
  gpuVendor?: string;
  mainWorld?: string;
  preferences?: string;
  block?: string;
  /** A problem of all labels together. */
  allLabels?: string;
  labels: Record<number, string>;
}

function idleTtlProblem(text: string, ofProfile: boolean): string | undefined {
  const { min, max } = ofProfile ? LONG_IDLE_TTL_SECONDS : IDLE_TTL_SECONDS;
  const typed = text.trim();
  if (typed === '') return undefined;
  const seconds = Number(typed);
  if (/^\d+$/.test(typed) && seconds >= min && seconds <= max) return undefined;
  if (!ofProfile) return i18n.t('launch:problems.idleTtl', { min, max });
  return /^0+$/.test(typed) ? undefined : i18n.t('launch:problems.longIdleTtl', { min, max });
}

/** What is wrong with the name of a profile. */
export function profileNameProblem(typed: string): string | undefined {
  const name = typed.trim();
  if (name === '') return i18n.t('launch:problems.noProfileName');
  return isProfileName(name)
    ? undefined
    : i18n.t('launch:problems.profileName', { max: PROFILE_NAME_MAX_LENGTH });
}

function startUrlProblem(text: string): string | undefined {
  // Counted in code points as the API does, not in UTF-16 units.
  const length = Array.from(text.trim()).length;
  if (length <= START_URL_MAX_LENGTH) return undefined;
  return i18n.t('launch:problems.startUrl', { max: START_URL_MAX_LENGTH, length });
}

/** Workers report whether they have live views, so the form can say so before the request. */
function vncProblem(draft: LaunchDraft, workers: readonly WorkerStatus[]): string | undefined {
  if (!draft.vnc || workers.length === 0) return undefined;
  if (draft.worker === '') {
    if (workers.some((worker) => worker.healthy && worker.supports_vnc)) return undefined;
    return i18n.t('launch:problems.noWorkerWithView');
  }
  const chosen = workers.find(({ name }) => name === draft.worker);
  if (chosen?.supports_vnc !== false) return undefined;
  return i18n.t('launch:problems.workerWithoutView', { worker: draft.worker });
}

/** Workers report their pools, and whether they have any control over connections. */
function proxyChoiceProblem(
  draft: LaunchDraft,
  workers: readonly WorkerStatus[],
): string | undefined {
  const { kind, pool } = draft.proxy;
  const eligible = candidates(workers, draft).filter(({ detail }) => !('error' in detail));
  if (eligible.length === 0 || kind === '' || kind === 'direct') return undefined;
  if (eligible.every(lacksEgress)) return i18n.t('network:problems.noEgress');
  if (kind !== 'pool' || poolsOf(eligible).some(({ name }) => name === pool)) return undefined;
  return i18n.t('network:problems.noPool', { pool });
}

/** What is wrong with single labels, by row number. */
export function labelProblems(rows: LabelRow[]): Record<number, string> {
  const problems: Record<number, string> = {};
  const seen = new Set<string>();
  for (const { row, key, value } of rows) {
    const name = key.trim();
    if (name === '') {
      if (value.trim() !== '') problems[row] = i18n.t('launch:problems.labelWithoutKey');
    } else if (seen.has(name)) {
      problems[row] = i18n.t('launch:problems.sameLabel', { key: name });
    }
    seen.add(name);
  }
  return problems;
}

/** Problems that are shown while choosing; their messages name the alternatives. */
export function findChoiceProblems(
  draft: LaunchDraft,
  workers: readonly WorkerStatus[],
): LaunchProblems {
  const problems: LaunchProblems = { labels: {} };
  if (draft.worker !== '' && !workers.some(({ name }) => name === draft.worker)) {
    problems.worker = i18n.t('launch:problems.noSuchWorker', { worker: draft.worker });
  }
  const proxy = proxyChoiceProblem(draft, workers);
  if (proxy !== undefined) problems.proxy = proxy;
  const vnc = vncProblem(draft, workers);
  if (vnc !== undefined) problems.vnc = vnc;
  return problems;
}

/** Checks a draft by the API's rules, so that most mistakes are found before a request is sent. */
export function findProblems(draft: LaunchDraft, workers: readonly WorkerStatus[]): LaunchProblems {
  const problems = findChoiceProblems(draft, workers);
  problems.labels = labelProblems(draft.labels);
  const named = draft.profile.trim() !== '';
  const profile = named ? profileNameProblem(draft.profile) : undefined;
  if (profile !== undefined) problems.profile = profile;
  const idleTtlSeconds = idleTtlProblem(draft.idleTtlSeconds, named);
  const startUrl = startUrlProblem(draft.startUrl);
  const proxy = problems.proxy ?? ownProxyProblem(draft.proxy);
  if (proxy !== undefined) problems.proxy = proxy;
  for (const field of unreadable(draft.identity)) {
    problems[field] = i18n.t(`launch:problems.${field}`);
  }
  if (idleTtlSeconds !== undefined) problems.idleTtlSeconds = idleTtlSeconds;
  if (startUrl !== undefined) problems.startUrl = startUrl;
  if (new TextEncoder().encode(JSON.stringify(toRequest(draft))).length > BODY_MAX_BYTES) {
    problems.allLabels = i18n.t('launch:problems.tooLarge');
  }
  return problems;
}

/** Whether there are no problems. */
export function isValid({ labels, ...others }: LaunchProblems): boolean {
  return Object.keys(labels).length === 0 && Object.keys(others).length === 0;
}

/** The form's fields by their names in the API. */
const FIELDS: Readonly<Record<string, Exclude<keyof LaunchProblems, 'labels'>>> = {
  worker: 'worker',
  name: 'profile',
  profile: 'profile',
  profile_mode: 'profile',
  profile_create: 'profile',
  vnc: 'vnc',
  idle_ttl_seconds: 'idleTtlSeconds',
  start_url: 'startUrl',
  proxy: 'proxy',
  block: 'block',
  locale: 'locale',
  timezone: 'timezone',
  geolocation: 'geolocation',
  screen: 'screen',
  os: 'os',
  fonts: 'fonts',
  addons: 'addons',
  seed: 'seed',
  humanize: 'humanize',
  webgl: 'gpuVendor',
  main_world_eval: 'mainWorld',
  user_preferences: 'preferences',
  labels: 'allLabels',
};
/** The codes of errors whose text begins with a field. */
const NAMING_CODES = new Set([
  'invalid_field',
  'no_exit_ip_url',
  'no_exit_place',
  'incoherent_identity',
]);
/** The fields of errors whose text names no field, by error code. */
const FIELDS_OF_CODES: Readonly<Record<string, Exclude<keyof LaunchProblems, 'labels'>>> = {
  worker_not_found: 'worker',
  vnc_unsupported: 'vnc',
  no_vnc_tooling: 'vnc',
  profile_not_found: 'profile',
  profile_exists: 'profile',
  profile_ambiguous: 'profile',
  profile_in_use: 'profile',
  profile_incompatible: 'profile',
  profile_away: 'profile',
  body_too_large: 'allLabels',
};

/**
 * Whether a form has a field.
 *
 * @param field its name among the problems
 * @param identity whether the form's identity can be changed, as that of a profile can't
 * @param machine whether it asks for a machine
 */
function isOffered(field: string, identity: boolean, machine: boolean): boolean {
  if (Object.hasOwn(ANY_MACHINE, field)) return identity && machine;
  return identity || !Object.hasOwn(NO_IDENTITY, field);
}

/**
 * The form's field that an error of the API is about, with its message; null if it is about no single field, or about one that
 * the form does not have.
 *
 * @param error of the request
 * @param identity whether the form's identity can be changed, as that of a profile can't
 * @param machine whether the form asks for a machine
 */
export function fieldProblem(
  error: unknown,
  identity = true,
  machine = true,
): Partial<LaunchProblems> | null {
  if (!(error instanceof ApiError)) return null;
  if (error.code === 'no_egress') return { proxy: i18n.t('network:problems.noEgress') };
  const named = NAMING_CODES.has(error.code) ? /^(\w+)[.:]/.exec(error.message)?.[1] : undefined;
  const field = named === undefined ? FIELDS_OF_CODES[error.code] : FIELDS[named];
  if (field === undefined || !isOffered(field, identity, machine)) return null;
  return { [field]: errorText(error) };
}

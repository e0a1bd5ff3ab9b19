import type { Contexts, CreateSession, OnCrash, ProfileMode, StartUrlWait } from '../api/types.ts';
import { type IdentityDraft, NO_IDENTITY, toIdentity } from './identityDraft.ts';
import { ANY_MACHINE, type MachineDraft, toMachine } from './machineDraft.ts';
import { DEFAULT_PROXY, type ProxyDraft, toProxy, withoutPassword } from './proxyDraft.ts';

/** One label as typed: a row with two fields, numbered for React. */
export interface LabelRow {
  row: number;
  key: string;
  value: string;
}

/** The fields of the launch form; an empty text means "the worker's default". */
export interface LaunchDraft {
  worker: string;
  /** The name of a profile, which is made if it does not exist; empty for a session without one. */
  profile: string;
  profileMode: '' | ProfileMode;
  vnc: boolean;
  headless: '' | 'true' | 'false';
  idleTtlSeconds: string;
  startUrl: string;
  startUrlWait: '' | StartUrlWait;
  onCrash: '' | OnCrash;
  contexts: '' | Contexts;
  proxy: ProxyDraft;
  identity: IdentityDraft;
  /** What is asked of the machine that a Camoufox shows. */
  machine: MachineDraft;
  /** The names of block lists; null for the worker's default. */
  block: readonly string[] | null;
  labels: LabelRow[];
}

/** An empty form. */
export const EMPTY_DRAFT: LaunchDraft = {
  worker: '',
  profile: '',
  profileMode: '',
  vnc: false,
  headless: '',
  idleTtlSeconds: '',
  startUrl: '',
  startUrlWait: '',
  onCrash: '',
  contexts: '',
  proxy: DEFAULT_PROXY,
  identity: NO_IDENTITY,
  machine: ANY_MACHINE,
  block: null,
  labels: [],
};

/** A form without secrets, as it may be stored. */
export function withoutSecrets(draft: LaunchDraft): LaunchDraft {
  return { ...draft, proxy: withoutPassword(draft.proxy) };
}

/** The create request for a valid draft; empty fields are omitted. */
export function toRequest(draft: LaunchDraft): CreateSession {
  const request: CreateSession = {
    vnc: draft.vnc,
    ...toIdentity(draft.identity),
    ...toMachine(draft.machine),
  };
  if (draft.worker !== '') request.worker = draft.worker;
  if (draft.profile.trim() !== '') {
    request.profile = draft.profile.trim();
    if (draft.profileMode !== '') request.profile_mode = draft.profileMode;
  }
  // A live view needs a window; the API would set headless=false itself.
  if (draft.vnc) request.headless = false;
  else if (draft.headless !== '') request.headless = draft.headless === 'true';
  if (draft.idleTtlSeconds.trim() !== '') request.idle_ttl_seconds = Number(draft.idleTtlSeconds);
  if (draft.startUrl.trim() !== '') request.start_url = draft.startUrl.trim();
  if (draft.startUrlWait !== '') request.start_url_wait = draft.startUrlWait;
  if (draft.onCrash !== '') request.on_crash = draft.onCrash;
  if (draft.contexts !== '') request.contexts = draft.contexts;
  const proxy = toProxy(draft.proxy);
  if (proxy !== null) request.proxy = proxy;
  if (draft.block !== null) request.block = [...draft.block];
  const labels = draft.labels
    .map(({ key, value }): [string, string] => [key.trim(), value.trim()])
    .filter(([key]) => key !== '');
  if (labels.length > 0) request.labels = Object.fromEntries(labels);
  return request;
}

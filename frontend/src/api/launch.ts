import type { Contexts, CreateSession, OnCrash, StartUrlWait } from './types.ts';

/** The API's bounds for a session's idle TTL, in seconds. */
export const IDLE_TTL_SECONDS = { min: 30, max: 3600 } as const;
/** The longest start URL the API takes, in characters. */
export const START_URL_MAX_LENGTH = 1024;

/** One label as it is typed: a row of two fields, with a key for React. */
export interface LabelRow {
  row: number;
  key: string;
  value: string;
}

/** The launch form as it is filled in; an empty text means "the worker's default". */
export interface LaunchDraft {
  worker: string;
  vnc: boolean;
  headless: '' | 'true' | 'false';
  idleTtlSeconds: string;
  startUrl: string;
  startUrlWait: '' | StartUrlWait;
  onCrash: '' | OnCrash;
  contexts: '' | Contexts;
  labels: LabelRow[];
}

/** What is wrong with a draft, by field; labels by the number of their row. */
export interface LaunchProblems {
  idleTtlSeconds?: string;
  startUrl?: string;
  labels: Record<number, string>;
}

/** A form nobody has touched yet. */
export const EMPTY_DRAFT: LaunchDraft = {
  worker: '',
  vnc: false,
  headless: '',
  idleTtlSeconds: '',
  startUrl: '',
  startUrlWait: '',
  onCrash: '',
  contexts: '',
  labels: [],
};

function idleTtlProblem(text: string): string | undefined {
  const { min, max } = IDLE_TTL_SECONDS;
  const typed = text.trim();
  if (typed === '') return undefined;
  const seconds = Number(typed);
  if (/^\d+$/.test(typed) && seconds >= min && seconds <= max) return undefined;
  return `Idle TTL has to be a whole number of seconds from ${min} to ${max}.`;
}

function startUrlProblem(text: string): string | undefined {
  // Counted in characters as the API does, not in UTF-16 units.
  const length = Array.from(text.trim()).length;
  if (length <= START_URL_MAX_LENGTH) return undefined;
  return `Start URL can have ${START_URL_MAX_LENGTH} characters at most; this one has ${length}.`;
}

function labelProblems(rows: LabelRow[]): Record<number, string> {
  const problems: Record<number, string> = {};
  const seen = new Set<string>();
  for (const { row, key, value } of rows) {
    const name = key.trim();
    if (name === '') {
      if (value.trim() !== '') problems[row] = 'A label needs a key.';
    } else if (seen.has(name)) {
      problems[row] = `The key “${name}” is there already.`;
    }
    seen.add(name);
  }
  return problems;
}

/** Checks a draft by the API's own rules, so that most mistakes show before anything is sent. */
export function findProblems(draft: LaunchDraft): LaunchProblems {
  const idleTtlSeconds = idleTtlProblem(draft.idleTtlSeconds);
  const startUrl = startUrlProblem(draft.startUrl);
  return {
    labels: labelProblems(draft.labels),
    ...(idleTtlSeconds === undefined ? {} : { idleTtlSeconds }),
    ...(startUrl === undefined ? {} : { startUrl }),
  };
}

/** Whether nothing is wrong. */
export function isSound(problems: LaunchProblems): boolean {
  return (
    problems.idleTtlSeconds === undefined &&
    problems.startUrl === undefined &&
    Object.keys(problems.labels).length === 0
  );
}

/** The request a sound draft stands for; what was left empty is left out. */
export function toRequest(draft: LaunchDraft): CreateSession {
  const request: CreateSession = { vnc: draft.vnc };
  if (draft.worker !== '') request.worker = draft.worker;
  // A live view needs a window; the API would say headless=false itself.
  if (draft.vnc) request.headless = false;
  else if (draft.headless !== '') request.headless = draft.headless === 'true';
  if (draft.idleTtlSeconds.trim() !== '') request.idle_ttl_seconds = Number(draft.idleTtlSeconds);
  if (draft.startUrl.trim() !== '') request.start_url = draft.startUrl.trim();
  if (draft.startUrlWait !== '') request.start_url_wait = draft.startUrlWait;
  if (draft.onCrash !== '') request.on_crash = draft.onCrash;
  if (draft.contexts !== '') request.contexts = draft.contexts;
  const labels = draft.labels
    .map(({ key, value }): [string, string] => [key.trim(), value.trim()])
    .filter(([key]) => key !== '');
  if (labels.length > 0) request.labels = Object.fromEntries(labels);
  return request;
}

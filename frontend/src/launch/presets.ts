import {
  IDENTITY_MAX_LENGTH,
  type IdentityDraft,
  NO_IDENTITY,
  PREFERENCES_MAX_LENGTH,
} from '../live/identityDraft.ts';
import { ANY_MACHINE, MACHINE_MAX_LENGTH } from '../live/machineDraft.ts';
import { PROFILE_NAME_MAX_LENGTH } from '../live/profileName.ts';
import { START_URL_MAX_LENGTH } from './validation.ts';
import { EMPTY_DRAFT, type LaunchDraft, withoutSecrets } from '../live/launchDraft.ts';
import { DEFAULT_PROXY, type ProxyDraft } from '../live/proxyDraft.ts';
import { oneOf, Preference } from '../lib/preference.ts';

/** A launch form that a person has saved under a name. */
export interface LaunchPreset {
  name: string;
  draft: LaunchDraft;
}

/** All saved presets of the user. */
export interface LaunchPresets {
  /** Sorted by name. */
  presets: readonly LaunchPreset[];
  /** The name of the preset that new forms start with; null for an empty form. */
  initial: string | null;
}

/** The maximum number of presets, length of a name in characters, and number of labels in one. */
export const PRESET_LIMITS = { count: 30, name: 40, labels: 50 } as const;
/** The longest key or value of a label in a preset, in characters. */
const LABEL_MAX_LENGTH = 1024;

const isText = (value: unknown, longest: number): value is string =>
  typeof value === 'string' && value.length <= longest;

/** The longest text of a proxy in a preset, in characters. */
const PROXY_MAX_LENGTH = 2048;
/** The most block lists of a session, and the longest name of one, in characters: as in the API. */
const BLOCK_LIMITS = { count: 32, name: 64 } as const;

const isKind = oneOf('', 'direct', 'pool', 'own');

/** A stored proxy has no password. */
function isProxy(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Record<string, unknown>;
  const known = Object.keys(DEFAULT_PROXY) as (keyof ProxyDraft)[];
  return (
    isKind(fields.kind) &&
    fields.password === '' &&
    known.every((field) => isText(fields[field], PROXY_MAX_LENGTH))
  );
}

function isIdentity(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Record<string, unknown>;
  const known = Object.keys(NO_IDENTITY) as (keyof IdentityDraft)[];
  return (
    oneOf('', 'warn')(fields.coherence) &&
    oneOf('', 'off', 'proxy', 'on')(fields.webrtc) &&
    oneOf('', 'block')(fields.images) &&
    oneOf('', 'firefox', 'camoufox')(fields.engine) &&
    known.every((field) =>
      isText(fields[field], field === 'preferences' ? PREFERENCES_MAX_LENGTH : IDENTITY_MAX_LENGTH),
    )
  );
}

function isMachine(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const fields = value as Record<string, unknown>;
  return Object.keys(ANY_MACHINE).every((field) => isText(fields[field], MACHINE_MAX_LENGTH));
}

const CHECKS: { [Field in keyof LaunchDraft]: (value: unknown) => boolean } = {
  worker: (value) => isText(value, 256),
  profile: (value) => isText(value, PROFILE_NAME_MAX_LENGTH),
  profileMode: oneOf('', 'write', 'copy'),
  vnc: (value) => typeof value === 'boolean',
  headless: oneOf('', 'true', 'false'),
  idleTtlSeconds: (value) => isText(value, 16),
  // The limit is in code points, which may be two UTF-16 units each.
  startUrl: (value) => isText(value, 2 * START_URL_MAX_LENGTH),
  startUrlWait: oneOf('', 'load', 'domcontentloaded', 'none'),
  onCrash: oneOf('', 'restart', 'end'),
  contexts: oneOf('', 'keep', 'discard'),
  proxy: isProxy,
  identity: isIdentity,
  machine: isMachine,
  block: (value) =>
    value === null ||
    (Array.isArray(value) &&
      value.length <= BLOCK_LIMITS.count &&
      value.every((list) => isText(list, BLOCK_LIMITS.name))),
  labels: (value) =>
    Array.isArray(value) &&
    value.length <= PRESET_LIMITS.labels &&
    value.every((label: unknown) => {
      if (typeof label !== 'object' || label === null) return false;
      const { row, key, value: text } = label as Record<string, unknown>;
      return (
        Number.isSafeInteger(row) && isText(key, LABEL_MAX_LENGTH) && isText(text, LABEL_MAX_LENGTH)
      );
    }),
};

/** Whether a form without secrets has the type and size that can be stored. */
export function isStorable(draft: unknown): draft is LaunchDraft {
  if (typeof draft !== 'object' || draft === null) return false;
  const fields = Object.keys(EMPTY_DRAFT) as (keyof LaunchDraft)[];
  return fields.every((field) => CHECKS[field]((draft as Record<string, unknown>)[field]));
}

function isPreset(value: unknown): value is LaunchPreset {
  if (typeof value !== 'object' || value === null) return false;
  const { name, draft } = value as Record<string, unknown>;
  return isText(name, PRESET_LIMITS.name) && name !== '' && isStorable(draft);
}

function arePresets(value: unknown): value is LaunchPresets {
  if (typeof value !== 'object' || value === null) return false;
  const { presets, initial } = value as Record<string, unknown>;
  return (
    Array.isArray(presets) &&
    presets.length <= PRESET_LIMITS.count &&
    presets.every(isPreset) &&
    (initial === null || presets.some(({ name }) => name === initial))
  );
}

/** No presets. */
export const NO_PRESETS: LaunchPresets = { presets: [], initial: null };

/** Presets of an earlier version, which lack the fields that have been added since. */
function withNewFields(stored: unknown): unknown {
  if (typeof stored !== 'object' || stored === null) return stored;
  const { presets } = stored as Record<string, unknown>;
  if (!Array.isArray(presets)) return stored;
  return {
    ...stored,
    presets: presets.map((preset: unknown): unknown => {
      if (typeof preset !== 'object' || preset === null) return preset;
      const { draft } = preset as Record<string, unknown>;
      if (typeof draft !== 'object' || draft === null) return preset;
      const { identity = {}, machine = {} } = draft as Record<string, unknown>;
      const whole = (value: unknown, empty: object) =>
        typeof value === 'object' ? { ...empty, ...value } : value;
      return {
        ...preset,
        draft: {
          ...EMPTY_DRAFT,
          ...draft,
          identity: whole(identity, NO_IDENTITY),
          machine: whole(machine, ANY_MACHINE),
        },
      };
    }),
  };
}

/** The user's presets in this browser. */
export const launchPresets = new Preference(
  'launch.presets',
  NO_PRESETS,
  arePresets,
  withNewFields,
);

function change(presets: readonly LaunchPreset[], initial: string | null): void {
  const inOrder = presets.toSorted((a, b) => a.name.localeCompare(b.name));
  launchPresets.set({ presets: inOrder, initial });
}

/** Finds a preset by its name. */
export function presetNamed(name: string | null): LaunchPreset | undefined {
  return launchPresets.get().presets.find((preset) => preset.name === name);
}

/** Saves a form under a name, without its secrets, replacing the preset that has it. */
export function savePreset(name: string, draft: LaunchDraft): void {
  const { presets, initial } = launchPresets.get();
  const preset = { name, draft: withoutSecrets(draft) };
  change([...presets.filter((other) => other.name !== name), preset], initial);
}

/** Gives a preset another name. */
export function renamePreset(from: string, to: string): void {
  const { presets, initial } = launchPresets.get();
  change(
    presets.map((preset) => (preset.name === from ? { ...preset, name: to } : preset)),
    initial === from ? to : initial,
  );
}

/** Deletes a preset. */
export function deletePreset(name: string): void {
  const { presets, initial } = launchPresets.get();
  change(
    presets.filter((preset) => preset.name !== name),
    initial === name ? null : initial,
  );
}

/** Sets the preset that new forms start with; null for an empty form. */
export function setInitialPreset(name: string | null): void {
  change(launchPresets.get().presets, name);
}

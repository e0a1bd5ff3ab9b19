import type { CreateSession } from '../api/types.ts';

/** What the launch form asks of the machine that a Camoufox shows, as typed; an empty text means "whatever is drawn". */
export interface MachineDraft {
  /** Systems separated by commas, of which one is drawn. */
  os: string;
  /** Names of fonts, separated by commas. */
  fonts: string;
  /** Names of add-ons, separated by commas. */
  addons: string;
  /** The same seed is the same machine. */
  seed: string;
  /** `UNMASKED_VENDOR_WEBGL` of the graphics card; the renderer belongs to it. */
  gpuVendor: string;
  /** `UNMASKED_RENDERER_WEBGL`. */
  gpuRenderer: string;
  /** Whether the pointer moves as a hand does. */
  humanize: '' | 'true' | 'false';
  /** Whether a client's scripts may run in the page's own world. */
  mainWorld: '' | 'true';
}

/** Whatever is drawn. */
export const ANY_MACHINE: MachineDraft = {
  os: '',
  fonts: '',
  addons: '',
  seed: '',
  gpuVendor: '',
  gpuRenderer: '',
  humanize: '',
  mainWorld: '',
};

/** The longest text of a field, in characters. */
export const MACHINE_MAX_LENGTH = 256;

/** The fields that are texts. */
export const MACHINE_TEXTS = ['os', 'seed', 'gpuVendor', 'gpuRenderer', 'fonts', 'addons'] as const;

type Part = Pick<
  CreateSession,
  'os' | 'fonts' | 'addons' | 'seed' | 'humanize' | 'webgl' | 'main_world_eval'
>;

function names(text: string): string[] {
  const typed = text.split(',').map((name) => name.trim());
  return typed.filter((name) => name !== '');
}

/** The part of a create request for a draft; empty fields are omitted. The API names the field of what it can't read. */
export function toMachine(draft: MachineDraft): Part {
  const { os, fonts, addons, seed, humanize, mainWorld } = draft;
  const part: Part = {};
  const [vendor, renderer] = [draft.gpuVendor.trim(), draft.gpuRenderer.trim()];
  const systems = names(os.toLowerCase());
  if (systems.length > 0) part.os = systems as NonNullable<Part['os']>;
  if (names(fonts).length > 0) part.fonts = names(fonts);
  if (names(addons).length > 0) part.addons = names(addons);
  if (seed.trim() !== '') part.seed = seed.trim();
  if (vendor !== '' || renderer !== '') part.webgl = { vendor, renderer };
  if (humanize !== '') part.humanize = humanize === 'true';
  if (mainWorld === 'true') part.main_world_eval = true;
  return part;
}

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
  /** Whether the pointer moves as a hand does. */
  humanize: '' | 'true' | 'false';
}

/** Whatever is drawn. */
export const ANY_MACHINE: MachineDraft = { os: '', fonts: '', addons: '', seed: '', humanize: '' };

/** The longest text of a field, in characters. */
export const MACHINE_MAX_LENGTH = 256;

/** The fields that are texts. */
export const MACHINE_TEXTS = ['os', 'fonts', 'addons', 'seed'] as const;

type Part = Pick<CreateSession, 'os' | 'fonts' | 'addons' | 'seed' | 'humanize'>;

function names(text: string): string[] {
  const typed = text.split(',').map((name) => name.trim());
  return typed.filter((name) => name !== '');
}

/** The part of a create request for a draft; empty fields are omitted. The API names the field of what it can't read. */
export function toMachine({ os, fonts, addons, seed, humanize }: MachineDraft): Part {
  const part: Part = {};
  const systems = names(os.toLowerCase());
  if (systems.length > 0) part.os = systems as NonNullable<Part['os']>;
  if (names(fonts).length > 0) part.fonts = names(fonts);
  if (names(addons).length > 0) part.addons = names(addons);
  if (seed.trim() !== '') part.seed = seed.trim();
  if (humanize !== '') part.humanize = humanize === 'true';
  return part;
}

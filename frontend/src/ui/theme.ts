import { oneOf, Preference } from '../lib/preference.ts';

/** The themes; `system` follows the system's preference. */
export const THEMES = ['system', 'light', 'dark'] as const;

/** A theme of the panel. */
export type Theme = (typeof THEMES)[number];

/** The user's theme. */
export const theme = new Preference<Theme>('theme', 'system', oneOf(...THEMES));

// The attribute is used by tokens.css.
function apply(): void {
  document.documentElement.dataset.theme = theme.get();
}
apply();
theme.subscribe(apply);

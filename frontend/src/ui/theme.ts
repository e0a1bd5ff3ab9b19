import { oneOf, Preference } from '../lib/preference.ts';

/** The themes to choose from; `system` follows what the system prefers, also when that changes. */
export const THEMES = ['system', 'light', 'dark'] as const;

/** A theme of the panel. */
export type Theme = (typeof THEMES)[number];

/** The theme that a person chose. */
export const theme = new Preference<Theme>('theme', 'system', oneOf(...THEMES));

// tokens.css says what the attribute does.
function apply(): void {
  document.documentElement.dataset.theme = theme.get();
}
apply();
theme.subscribe(apply);

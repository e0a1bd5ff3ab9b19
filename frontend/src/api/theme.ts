import { oneOf, Preference } from './preference.ts';

/** The colours of the panel: those of the system, or always the same. */
export type Theme = 'system' | 'light' | 'dark';

/** All themes, in the order of the menu. */
export const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

/** The theme that was chosen. */
export const theme = new Preference<Theme>('theme', 'system', oneOf(...THEMES));

/** Puts the theme on the page, now and after each change. */
export function applyTheme(): void {
  const apply = () => {
    document.documentElement.dataset.theme = theme.get();
  };
  theme.subscribe(apply);
  apply();
}

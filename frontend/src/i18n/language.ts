import { oneOf, Preference } from '../lib/preference.ts';

/** The panel's languages, by their own names. */
export const LANGUAGES = { en: 'English', ru: 'Русский' } as const;

/** The code of one of the panel's languages (ISO 639-1). */
export type Language = keyof typeof LANGUAGES;

const isLanguage = oneOf(...(Object.keys(LANGUAGES) as Language[]));

function baseOf(tag: string): string | undefined {
  return tag.toLowerCase().split('-')[0];
}

/** The first of a browser's languages that the panel has; English if there is none. */
export function languageFor(wanted: readonly string[]): Language {
  return wanted.map(baseOf).find(isLanguage) ?? 'en';
}

/** The language of the panel and the noVNC page: the browser's until the user chooses another. */
export const language = new Preference<Language>(
  'language',
  languageFor(navigator.languages),
  isLanguage,
);

/**
 * The locale for times and numbers: the browser's own variant of the current language (en-GB and en-US write
 * dates differently).
 */
export function locale(): string {
  const now = language.get();
  return navigator.languages.find((tag) => baseOf(tag) === now) ?? now;
}

function apply(): void {
  document.documentElement.lang = language.get();
}
apply();
language.subscribe(apply);

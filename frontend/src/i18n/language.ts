import { oneOf, Preference } from '../lib/preference.ts';

/** The languages that the panel speaks, by their own names. */
export const LANGUAGES = { en: 'English', ru: 'Русский' } as const;

/** The code of a language that the panel speaks (ISO 639-1). */
export type Language = keyof typeof LANGUAGES;

const isLanguage = oneOf(...(Object.keys(LANGUAGES) as Language[]));

function baseOf(tag: string): string | undefined {
  return tag.toLowerCase().split('-')[0];
}

/** The first of a browser's languages that the panel speaks; English without one. */
export function languageFor(wanted: readonly string[]): Language {
  return wanted.map(baseOf).find(isLanguage) ?? 'en';
}

/** The language that the panel and the noVNC page speak: the browser's, until a person chooses. */
export const language = new Preference<Language>(
  'language',
  languageFor(navigator.languages),
  isLanguage,
);

/**
 * What times and numbers are written by: the browser's own variant of the language of the moment, for English has more
 * than one way to write a date.
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

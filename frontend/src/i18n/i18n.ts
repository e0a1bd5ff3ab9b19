import { createInstance } from 'i18next';
import { initReactI18next } from 'react-i18next';

import { oneOf, Preference } from '../api/preference.ts';
import { type Language, LANGUAGES, texts } from './texts.ts';

const isLanguage = oneOf(...(Object.keys(LANGUAGES) as Language[]));

/** The first of a browser's languages that the panel speaks; English without one. */
export function languageFor(wanted: readonly string[]): Language {
  return wanted.map((tag) => tag.toLowerCase().split('-')[0]).find(isLanguage) ?? 'en';
}

/** The language that the panel speaks: the browser's, until a person chooses. */
export const language = new Preference<Language>(
  'language',
  languageFor(navigator.languages),
  isLanguage,
);

/** The panel's texts in the language of the moment, for what is no component. Components use `useTranslation`. */
export const i18n = createInstance();

void i18n.use(initReactI18next).init({
  lng: language.get(),
  fallbackLng: 'en',
  resources: texts,
  defaultNS: 'panel',
  // The texts are here already: the first page to be drawn has them.
  initAsync: false,
  // React escapes by itself.
  interpolation: { escapeValue: false },
});

function apply(): void {
  document.documentElement.lang = language.get();
  void i18n.changeLanguage(language.get());
}
apply();
language.subscribe(apply);

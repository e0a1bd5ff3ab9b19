import { createInstance, type i18n, type Resource } from 'i18next';

import { language } from './language.ts';

/**
 * An i18next that speaks the language of the moment, also when that changes.
 *
 * @param texts what it can say: a page brings only what it shows
 * @param prepare called before the first text is asked for
 */
export function createI18n(texts: Resource, prepare?: (instance: i18n) => void): i18n {
  const instance = createInstance();
  prepare?.(instance);
  void instance.init({
    lng: language.get(),
    fallbackLng: 'en',
    resources: texts,
    defaultNS: 'panel',
    // The texts are here already: the first page to be drawn has them.
    initAsync: false,
    // Texts become text nodes and attributes, by React or by hand, and never HTML.
    interpolation: { escapeValue: false },
  });
  language.subscribe(() => void instance.changeLanguage(language.get()));
  return instance;
}

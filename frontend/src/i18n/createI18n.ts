import { createInstance, type i18n, type Resource } from 'i18next';

import { language } from './language.ts';

/**
 * Creates an i18next instance that follows the chosen language.
 *
 * @param texts its texts: a page includes only those it shows
 * @param prepare called before initialization
 */
export function createI18n(texts: Resource, prepare?: (instance: i18n) => void): i18n {
  const instance = createInstance();
  prepare?.(instance);
  void instance.init({
    lng: language.get(),
    fallbackLng: 'en',
    resources: texts,
    defaultNS: 'panel',
    // The texts are bundled, so the first render already has them.
    initAsync: false,
    // Texts are inserted as text nodes and attributes, never as HTML.
    interpolation: { escapeValue: false },
  });
  language.subscribe(() => void instance.changeLanguage(language.get()));
  return instance;
}

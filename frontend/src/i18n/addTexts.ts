import { i18n } from './i18n.ts';
import type { Language } from './language.ts';

/** Adds the texts of a part of the panel that is loaded on demand. */
export function addTexts(namespace: string, texts: Record<Language, object>): void {
  for (const [language, one] of Object.entries(texts)) {
    i18n.addResourceBundle(language, namespace, one);
  }
}

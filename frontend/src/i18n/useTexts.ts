import type { Namespace, TFunction } from 'i18next';

import { useStore } from '../lib/useStore.ts';
import { i18n } from './i18n.ts';
import { language } from './language.ts';

const made = new Map<string, unknown>();

/**
 * The texts of a namespace in the current language, for components rendered by the hundred: `useTranslation`
 * would cost more than such a component itself.
 */
export function useTexts<N extends Namespace & string>(namespace: N): TFunction<N> {
  const key = `${useStore(language)} ${namespace}`;
  if (!made.has(key)) made.set(key, i18n.getFixedT(language.get(), namespace));
  return made.get(key) as TFunction<N>;
}

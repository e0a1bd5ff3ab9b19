import type { Namespace, TFunction } from 'i18next';

import { useStore } from '../lib/useStore.ts';
import { i18n } from './i18n.ts';
import { language } from './language.ts';

const made = new Map<string, unknown>();

/**
 * The texts of a part of the panel in the language of the moment, for what is drawn by the hundred: `useTranslation`
 * does more for each component that uses it than such a component does itself.
 */
export function useTexts<N extends Namespace & string>(namespace: N): TFunction<N> {
  const key = `${useStore(language)} ${namespace}`;
  if (!made.has(key)) made.set(key, i18n.getFixedT(language.get(), namespace));
  return made.get(key) as TFunction<N>;
}

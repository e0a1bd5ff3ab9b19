import { initReactI18next } from 'react-i18next';

import { createI18n } from './createI18n.ts';
import { texts } from './texts.ts';

/** The panel's texts in the current language, for code outside components. Components use `useTranslation`. */
export const i18n = createI18n(texts, (instance) => instance.use(initReactI18next));

import { initReactI18next } from 'react-i18next';

import { createI18n } from './createI18n.ts';
import { texts } from './texts.ts';

/** The panel's texts in the language of the moment, for what is no component. Components use `useTranslation`. */
export const i18n = createI18n(texts, (instance) => instance.use(initReactI18next));

import 'i18next';

import type { Texts } from './texts.ts';

// Keys and parameters are checked against English.
declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'panel';
    resources: Texts;
  }
}

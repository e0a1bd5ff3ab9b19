import 'i18next';

import type { texts } from './texts.ts';

// English is the language that the keys and their parameters are checked against.
declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'panel';
    resources: (typeof texts)['en'];
  }
}

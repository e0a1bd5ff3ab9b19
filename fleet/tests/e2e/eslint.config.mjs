import js from '@eslint/js';
import globals from 'globals';

export default [
  js.configs.recommended,
  { languageOptions: { globals: globals.node } },
  // Functions given to `page.evaluate` run in a page.
  { files: ['*.test.mjs', 'helpers/playwright.mjs'], languageOptions: { globals: globals.browser } },
];

import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import i18next from 'eslint-plugin-i18next';
import jsxA11y from 'eslint-plugin-jsx-a11y';
import reactHooks from 'eslint-plugin-react-hooks';
import { defineConfig, globalIgnores } from 'eslint/config';
import globals from 'globals';
import tseslint from 'typescript-eslint';

import { layerRules } from './build/layers.js';

export default defineConfig([
  globalIgnores(['dist', 'src/api/schema.ts']),
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [
      tseslint.configs.strictTypeChecked,
      tseslint.configs.stylisticTypeChecked,
      reactHooks.configs.flat['recommended-latest'],
      jsxA11y.flatConfigs.strict,
    ],
    languageOptions: {
      globals: globals.browser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // Numbers may be interpolated; everything else has to be converted explicitly.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    // Texts for people come from src/i18n.
    files: ['src/**/*.tsx'],
    ignores: ['**/*.spec.tsx', 'src/test/**'],
    plugins: { i18next },
    rules: {
      'i18next/no-literal-string': [
        'error',
        {
          mode: 'jsx-only',
          'jsx-attributes': {
            include: [
              'alt',
              'aria-(label|description|valuetext|roledescription|placeholder)',
              'hint',
              'label',
              'name',
              'placeholder',
              'text',
              'title',
            ],
          },
          words: { exclude: ['camofleet', '[\\s\\d!-/:-@[-`{-~–·←=]*'] },
          'should-validate-template': true,
        },
      ],
    },
  },
  layerRules(),
  prettier,
]);

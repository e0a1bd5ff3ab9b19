import { expect, test } from 'vitest';

import { type Language, languageFor } from './language.ts';
import { texts } from './texts.ts';

const PLURAL = /_(zero|one|two|few|many|other)$/;

/** All texts by their full keys. */
function flatten(value: unknown, prefix = ''): Map<string, string> {
  if (typeof value === 'string') return new Map([[prefix, value]]);
  const parts = Object.entries(value as object).map(([key, part]) =>
    flatten(part, prefix === '' ? key : `${prefix}.${key}`),
  );
  return new Map(parts.flatMap((part) => [...part]));
}

/** The keys that a language must have: each plural of English in the language's own plural forms. */
function expectedKeys(language: Language): string[] {
  const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
  const keys = [...flatten(texts.en).keys()].flatMap((key) =>
    PLURAL.test(key) ? forms.map((form) => key.replace(PLURAL, `_${form}`)) : [key],
  );
  return [...new Set(keys)].sort();
}

function parameters(text: string): string[] {
  return [
    ...new Set([...text.matchAll(/\{\{(\w+)[^}]*\}\}|<(\w+)/g)].map((match) => match[0])),
  ].sort();
}

test.each(Object.keys(texts) as Language[])(
  '%s has every text in all its plural forms',
  (language) => {
    expect([...flatten(texts[language]).keys()].sort()).toEqual(expectedKeys(language));
  },
);

test.each(Object.keys(texts) as Language[])('no text of %s is empty', (language) => {
  const empty = [...flatten(texts[language])].filter(([, text]) => text.trim() === '');
  expect(empty).toEqual([]);
});

test('every translation has the parameters of its English text', () => {
  const english = flatten(texts.en);
  const other = [...flatten(texts.ru)].map(([key, text]) => {
    const original = english.get(key) ?? english.get(key.replace(PLURAL, '_other')) ?? '';
    return [key, parameters(text), parameters(original)] as const;
  });
  for (const [key, translated, original] of other) expect(translated, key).toEqual(original);
});

test('the language is the first of the browser’s that the panel has', () => {
  expect(languageFor(['de-DE', 'ru-RU', 'en-US'])).toBe('ru');
  expect(languageFor(['EN-gb', 'ru'])).toBe('en');
  expect(languageFor(['de'])).toBe('en');
  expect(languageFor([])).toBe('en');
});

import { expect, test } from 'vitest';

import { language } from '../i18n/language.ts';
import { valueText } from './chartText.ts';

test('values have their unit and the user’s number format', () => {
  expect(valueText(0.34, 'seconds')).toBe('340 ms');
  expect(valueText(12_345, 'bytesPerSecond')).toBe('12.3 kB/s');
  expect(valueText(0, 'bytesPerSecond')).toBe('0 byte/s');
  expect(valueText(12_345, 'count')).toBe('12,345');
  language.set('ru');
  expect(valueText(1.25, 'seconds')).toMatch(/^1,3\sс$/);
});

import { expect, it } from 'vitest';

import { nameOfFile } from './transfers.ts';

it.each([
  ['anna.tar.zst', 'anna'],
  ['anna (1).tar.zst', 'anna-1'],
  ['a.b_c-d.tar.zst', 'a.b_c-d'],
  ['.anna.tar.zst', 'anna'],
  ['Анна.tar.zst', ''],
  ['backup.zip', 'backup'],
  [`${'a'.repeat(80)}.tar.zst`, 'a'.repeat(64)],
])('%s becomes the profile %s', (file, name) => {
  expect(nameOfFile(file)).toBe(name);
});

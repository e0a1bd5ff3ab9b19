import { expect, it, vi } from 'vitest';

import { EMPTY_DRAFT } from '../live/launchDraft.ts';
import {
  isStorable,
  deletePreset,
  launchPresets,
  renamePreset,
  savePreset,
  setInitialPreset,
} from './presets.ts';

const KEY = 'camofleet.launch.presets';
const draft = { ...EMPTY_DRAFT, vnc: true };

/** What a panel that is opened anew finds. */
async function found(stored: unknown) {
  localStorage.setItem(KEY, JSON.stringify(stored));
  vi.resetModules();
  return (await import('./presets.ts')).launchPresets.get();
}

it('keeps the presets in the order of their names, and which of them comes first in the form', () => {
  savePreset('wide', draft);
  savePreset('bare', EMPTY_DRAFT);
  setInitialPreset('wide');
  renamePreset('wide', 'all');
  expect(launchPresets.get()).toEqual({
    presets: [
      { name: 'all', draft },
      { name: 'bare', draft: EMPTY_DRAFT },
    ],
    initial: 'all',
  });
  deletePreset('all');
  expect(launchPresets.get().initial).toBeNull();
});

it('finds on the next visit what was saved', async () => {
  const saved = { presets: [{ name: 'one', draft }], initial: 'one' };
  expect(await found(saved)).toEqual(saved);
});

it.each([
  ['of another kind', 'presets'],
  ['with a field that is none', { presets: [{ name: 'a', draft: { ...draft, headless: 1 } }] }],
  ['with too many', { presets: Array(31).fill({ name: 'a', draft }), initial: null }],
  ['with a start that is not there', { presets: [{ name: 'a', draft }], initial: 'b' }],
])('takes nothing that is %s', async (_, stored) => {
  expect(await found(stored)).toEqual({ presets: [], initial: null });
});

it('keeps no form that is beyond all measure', () => {
  const label = { row: 1, key: 'k', value: 'v' };
  expect(isStorable({ ...draft, labels: [label] })).toBe(true);
  expect(isStorable({ ...draft, labels: Array(51).fill(label) })).toBe(false);
  expect(isStorable({ ...draft, labels: [{ ...label, value: 'v'.repeat(1025) }] })).toBe(false);
});

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

/** What a newly opened panel reads. */
async function found(stored: unknown) {
  localStorage.setItem(KEY, JSON.stringify(stored));
  vi.resetModules();
  return (await import('./presets.ts')).launchPresets.get();
}

it('presets are sorted by name, and one can be the initial one', () => {
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

it('presets are loaded on the next visit', async () => {
  const saved = { presets: [{ name: 'one', draft }], initial: 'one' };
  expect(await found(saved)).toEqual(saved);
});

it.each([
  ['of another kind', 'presets'],
  ['with a field that is none', { presets: [{ name: 'a', draft: { ...draft, headless: 1 } }] }],
  ['with too many', { presets: Array(31).fill({ name: 'a', draft }), initial: null }],
  ['with a start that is not there', { presets: [{ name: 'a', draft }], initial: 'b' }],
])('ignores stored data %s', async (_, stored) => {
  expect(await found(stored)).toEqual({ presets: [], initial: null });
});

it('refuses to save a form that is too large', () => {
  const label = { row: 1, key: 'k', value: 'v' };
  expect(isStorable({ ...draft, labels: [label] })).toBe(true);
  expect(isStorable({ ...draft, labels: Array(51).fill(label) })).toBe(false);
  expect(isStorable({ ...draft, labels: [{ ...label, value: 'v'.repeat(1025) }] })).toBe(false);
});

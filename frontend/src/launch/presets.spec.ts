import { expect, it, vi } from 'vitest';

import { EMPTY_DRAFT } from '../live/launchDraft.ts';
import { DEFAULT_PROXY } from '../live/proxyDraft.ts';
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

it('presets of an earlier version get the fields that it did not have', async () => {
  const { preferences, ...identity } = draft.identity;
  const { gpuVendor, ...machine } = draft.machine;
  expect([preferences, gpuVendor]).toEqual(['', '']);
  const earlier: Record<string, unknown> = { ...draft, identity, machine };
  delete earlier.proxy;
  delete earlier.block;
  const stored = { presets: [{ name: 'one', draft: earlier }], initial: 'one' };
  expect(await found(stored)).toEqual({ presets: [{ name: 'one', draft }], initial: 'one' });
});

it('presets keep the proxy and the block lists, but no password', () => {
  const proxy = { ...DEFAULT_PROXY, kind: 'own' as const, username: 'me', password: 's3cret' };
  savePreset('fields', { ...draft, block: [], proxy: { ...proxy, server: 'http://a.test:1' } });
  savePreset('address', { ...draft, proxy: { ...proxy, server: 'http://me:s3cret@a.test:1' } });
  expect(localStorage.getItem(KEY)).not.toContain('s3cret');
  for (const { draft: kept } of launchPresets.get().presets) {
    expect(kept.proxy).toMatchObject({ server: 'http://a.test:1', username: 'me', password: '' });
  }
});

it.each([
  ['a proxy with a password', { proxy: { ...DEFAULT_PROXY, password: 'pw' } }],
  ['a proxy of an unknown kind', { proxy: { ...DEFAULT_PROXY, kind: 'tunnel' } }],
  ['no proxy', { proxy: null }],
  ['block lists that are none', { block: [5] }],
  ['too many block lists', { block: Array(33).fill('ads') }],
])('refuses %s', (_, part) => {
  expect(isStorable({ ...draft, ...part })).toBe(false);
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

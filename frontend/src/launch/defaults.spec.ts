import { expect, it } from 'vitest';

import { aWorkerWith, healthyWorker } from '../test/server.ts';
import { defaultOf } from './defaults.ts';

const ANY = { worker: '', vnc: false };
const slow = aWorkerWith('slow', { idle_ttl_seconds: 600, start_url: 'https://example.com' });
const quick = aWorkerWith('quick', { idle_ttl_seconds: 60 });

it('shows the default of the chosen worker', () => {
  expect(defaultOf('idle_ttl_seconds', [slow, quick], { ...ANY, worker: 'slow' })).toEqual({
    kind: 'known',
    value: 600,
  });
});

it('shows a default for any worker where all agree, and that they differ elsewhere', () => {
  expect(defaultOf('headless', [slow, quick], ANY)).toEqual({ kind: 'known', value: false });
  expect(defaultOf('idle_ttl_seconds', [slow, quick], ANY)).toEqual({ kind: 'varies' });
});

it('considers only workers that can get the request', () => {
  const bare = { ...quick, supports_vnc: false };
  const ill = { ...quick, healthy: false };
  const wish = { worker: '', vnc: true };
  expect(defaultOf('idle_ttl_seconds', [slow, bare, ill], wish)).toEqual({
    kind: 'known',
    value: 600,
  });
});

it('is unknown where the worker does not report it', () => {
  const silent = { ...slow, detail: { error: 'no answer' } };
  expect(defaultOf('headless', [healthyWorker], ANY)).toEqual({ kind: 'none' });
  expect(defaultOf('headless', [silent], ANY)).toEqual({ kind: 'none' });
  expect(defaultOf('headless', [], ANY)).toEqual({ kind: 'none' });
});

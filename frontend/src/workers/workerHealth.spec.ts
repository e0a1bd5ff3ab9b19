import { expect, test } from 'vitest';

import { healthyWorker } from '../test/server.ts';
import type { WorkerStatus } from '../api/types.ts';
import { adviceFor, healthState, workerChecks, worstFirst } from './workerHealth.ts';

const silent: WorkerStatus = {
  ...healthyWorker,
  name: 'silent',
  healthy: false,
  detail: { error: 'connection refused' },
};
const broken: WorkerStatus = {
  ...healthyWorker,
  name: 'broken',
  healthy: false,
  detail: {
    status: 'degraded',
    version: '0.1.0',
    checks: { driver: 'restarting', engine: 'firefox', pool_vnc: '0 of 2 ready' },
    failing: ['pool_vnc', 'driver'],
    facts: null,
    insecure: null,
  },
};
const leaving: WorkerStatus = { ...healthyWorker, name: 'leaving', draining: true };

test('healthState is one of four', () => {
  const words = [silent, broken, leaving, healthyWorker].map(healthState);
  expect(words).toEqual(['unreachable', 'degraded', 'draining', 'healthy']);
  // Unreachable takes precedence over draining.
  expect(healthState({ ...silent, draining: true })).toBe('unreachable');
});

test('failing checks come first', () => {
  const names = workerChecks(broken).map(({ name, fails }) => [name, fails]);
  expect(names).toEqual([
    ['driver', true],
    ['pool_vnc', true],
    ['engine', false],
  ]);
  expect(workerChecks(silent)).toEqual([]);
});

test('each failing check has advice, also an unknown one', () => {
  expect(['driver', 'pool_headless', 'pool_vnc', 'egress'].map(adviceFor)).toEqual([
    'driver',
    'pool',
    'pool',
    'other',
  ]);
});

test('workers are sorted by health, then by name', () => {
  const other = { ...healthyWorker, name: 'a' };
  const names = worstFirst([healthyWorker, leaving, other, broken, silent]).map(({ name }) => name);
  expect(names).toEqual(['silent', 'broken', 'leaving', 'a', 'local']);
});

import { describe, expect, it } from 'vitest';

import { aWorkerWith, healthyWorker } from '../test/server.ts';
import { ApiError } from '../api/client.ts';
import { findProblems, isValid, fieldProblem } from './validation.ts';
import { EMPTY_DRAFT } from '../live/launchDraft.ts';
import { DEFAULT_PROXY, type ProxyDraft } from '../live/proxyDraft.ts';

describe('findProblems', () => {
  it('finds nothing wrong with an empty form', () => {
    expect(isValid(findProblems(EMPTY_DRAFT, []))).toBe(true);
  });

  it.each(['30', '3600', ' 300 '])('accepts an idle TTL of %j', (idleTtlSeconds) => {
    expect(findProblems({ ...EMPTY_DRAFT, idleTtlSeconds }, []).idleTtlSeconds).toBeUndefined();
  });

  it.each(['29', '3601', '60.5', '-60', '1e3', 'soon'])(
    'refuses an idle TTL of %j',
    (idleTtlSeconds) => {
      expect(findProblems({ ...EMPTY_DRAFT, idleTtlSeconds }, []).idleTtlSeconds).toMatch(
        '30 to 3600',
      );
    },
  );

  it('counts the start URL in characters', () => {
    const longest = '😀'.repeat(1024);
    expect(findProblems({ ...EMPTY_DRAFT, startUrl: longest }, []).startUrl).toBeUndefined();
    expect(findProblems({ ...EMPTY_DRAFT, startUrl: `${longest}x` }, []).startUrl).toMatch(
      'has 1025',
    );
  });

  it('requires a key for every label, and unique keys', () => {
    const labels = [
      { row: 1, key: 'team', value: 'qa' },
      { row: 2, key: '', value: 'lost' },
      { row: 3, key: ' team ', value: 'search' },
      { row: 4, key: '', value: '' },
    ];
    expect(findProblems({ ...EMPTY_DRAFT, labels }, []).labels).toEqual({
      2: 'A label needs a key.',
      3: 'The key “team” is used twice.',
    });
  });
});

describe('findProblems with a live view', () => {
  const withView = healthyWorker;
  const without = { ...healthyWorker, name: 'bare', supports_vnc: false };
  const draft = { ...EMPTY_DRAFT, vnc: true };

  it('requires live views of the chosen worker', () => {
    expect(findProblems({ ...draft, worker: 'local' }, [withView, without]).vnc).toBeUndefined();
    expect(findProblems({ ...draft, worker: 'bare' }, [withView, without]).vnc).toMatch('bare');
  });

  it('requires one healthy worker with live views if any worker may be used', () => {
    expect(findProblems(draft, [withView, without]).vnc).toBeUndefined();
    expect(findProblems(draft, [{ ...withView, healthy: false }, without]).vnc).toMatch(
      'No healthy worker',
    );
  });
});

it('reports a worker that has left the fleet', () => {
  expect(findProblems({ ...EMPTY_DRAFT, worker: 'eu' }, [healthyWorker]).worker).toMatch('eu');
});

it('reports labels that exceed the maximum size of a request', () => {
  const labels = [{ row: 1, key: 'notes', value: 'ж'.repeat(33_000) }];
  expect(findProblems({ ...EMPTY_DRAFT, labels }, []).allLabels).toMatch('64 KiB');
});

describe('findProblems with a proxy', () => {
  const egress = {
    policy: 'no-fleet',
    proxies: ['eu'],
    default_proxy: null,
    block_lists: [],
    default_block: [],
    checks_proxies: false,
    city_database: null,
  };
  const east = aWorkerWith('east', {}, egress);
  const west = aWorkerWith('west', {}, { ...egress, proxies: [] });
  const original = { ...healthyWorker, name: 'original' };
  const silent = { ...healthyWorker, name: 'silent', detail: { error: 'no answer' } };
  const problem = (proxy: Partial<ProxyDraft>, worker = '') =>
    findProblems({ ...EMPTY_DRAFT, worker, proxy: { ...DEFAULT_PROXY, ...proxy } }, [
      east,
      west,
      original,
      silent,
    ]).proxy;

  it.each([
    ['nothing with the default', { kind: '' as const }, 'original', undefined],
    ['nothing without a proxy', { kind: 'direct' as const }, 'original', undefined],
    ['nothing with a pool of any worker', { kind: 'pool' as const, pool: 'eu' }, '', undefined],
    ['nothing with a worker that does not answer', { kind: 'pool' as const }, 'silent', undefined],
    ['a pool that the worker does not have', { kind: 'pool' as const, pool: 'eu' }, 'west', /eu/],
    [
      'that the worker can’t use proxies',
      { kind: 'pool' as const, pool: 'eu' },
      'original',
      /current camofleet/,
    ],
    ['that there is no address', { kind: 'own' as const, server: ' ' }, '', /address/],
    [
      'a password without a user name',
      { kind: 'own' as const, server: 'a.test', password: 'pw' },
      '',
      /user name/,
    ],
    ['nothing with an address', { kind: 'own' as const, server: 'me:pw@a.test' }, '', undefined],
  ])('finds %s', (_, proxy, worker, expected) => {
    if (expected === undefined) expect(problem(proxy, worker)).toBeUndefined();
    else expect(problem(proxy, worker)).toMatch(expected);
  });
});

describe('fieldProblem', () => {
  it.each([
    ['invalid_field', 'idle_ttl_seconds: must be 30', 'idleTtlSeconds'],
    ['invalid_field', 'labels.team: must be a string', 'allLabels'],
    ['vnc_unsupported', 'worker "bare" has no VNC', 'vnc'],
    ['worker_not_found', 'Worker not found', 'worker'],
    ['invalid_field', 'proxy: must be a URL', 'proxy'],
    ['invalid_field', "block: there is no block list 'ads' here", 'block'],
  ])('assigns %s to its field', (code, detail, field) => {
    expect(fieldProblem(new ApiError(422, code, detail))).toEqual({ [field]: detail });
  });

  it('explains that a machine has no control over connections', () => {
    expect(fieldProblem(new ApiError(502, 'no_egress', 'it can’t'))?.proxy).toMatch(
      'current camofleet',
    );
  });

  it('assigns other errors to no field', () => {
    expect(fieldProblem(new ApiError(429, 'at_capacity', 'all 5 sessions are in use'))).toBeNull();
    expect(fieldProblem(new ApiError(422, 'invalid_field', 'headless: must be true'))).toBeNull();
    expect(fieldProblem(new Error('no answer'))).toBeNull();
  });

  it('is about a field that the form has', () => {
    const os = new ApiError(422, 'invalid_field', 'os: no');
    expect(fieldProblem(os)).toEqual({ os: 'os: no' });
    expect(fieldProblem(os, true, false)).toBeNull();
    expect(fieldProblem(os, false)).toBeNull();
    const zone = new ApiError(409, 'incoherent_identity', 'timezone: does not fit');
    expect(fieldProblem(zone)).toEqual({ timezone: 'timezone: does not fit' });
    expect(fieldProblem(zone, false)).toBeNull();
    const proxy = new ApiError(422, 'invalid_field', 'proxy: no');
    expect(fieldProblem(proxy, false, false)).toEqual({ proxy: 'proxy: no' });
  });
});

import { describe, expect, it } from 'vitest';

import { EMPTY_DRAFT, findProblems, isSound, toRequest } from './launch.ts';

describe('findProblems', () => {
  it('finds nothing wrong with a form nobody touched', () => {
    expect(isSound(findProblems(EMPTY_DRAFT))).toBe(true);
  });

  it.each(['30', '3600', ' 300 '])('takes an idle TTL of %j', (idleTtlSeconds) => {
    expect(findProblems({ ...EMPTY_DRAFT, idleTtlSeconds }).idleTtlSeconds).toBeUndefined();
  });

  it.each(['29', '3601', '60.5', '-60', '1e3', 'soon'])(
    'refuses an idle TTL of %j',
    (idleTtlSeconds) => {
      expect(findProblems({ ...EMPTY_DRAFT, idleTtlSeconds }).idleTtlSeconds).toMatch('30 to 3600');
    },
  );

  it('counts the start URL in characters', () => {
    const longest = '😀'.repeat(1024);
    expect(findProblems({ ...EMPTY_DRAFT, startUrl: longest }).startUrl).toBeUndefined();
    expect(findProblems({ ...EMPTY_DRAFT, startUrl: `${longest}x` }).startUrl).toMatch('has 1025');
  });

  it('wants a key for every label, and every key once', () => {
    const labels = [
      { row: 1, key: 'team', value: 'qa' },
      { row: 2, key: '', value: 'lost' },
      { row: 3, key: ' team ', value: 'search' },
      { row: 4, key: '', value: '' },
    ];
    expect(findProblems({ ...EMPTY_DRAFT, labels }).labels).toEqual({
      2: 'A label needs a key.',
      3: 'The key “team” is there already.',
    });
  });
});

describe('toRequest', () => {
  it('leaves out what was left empty', () => {
    expect(toRequest(EMPTY_DRAFT)).toEqual({ vnc: false });
  });

  it('says everything that was filled in', () => {
    expect(
      toRequest({
        worker: 'eu',
        vnc: true,
        headless: 'true',
        idleTtlSeconds: '600',
        startUrl: ' example.com ',
        startUrlWait: 'none',
        onCrash: 'end',
        contexts: 'discard',
        labels: [
          { row: 1, key: 'team', value: 'qa' },
          { row: 2, key: '', value: '' },
        ],
      }),
    ).toEqual({
      worker: 'eu',
      vnc: true,
      headless: false,
      idle_ttl_seconds: 600,
      start_url: 'example.com',
      start_url_wait: 'none',
      on_crash: 'end',
      contexts: 'discard',
      labels: { team: 'qa' },
    });
  });
});

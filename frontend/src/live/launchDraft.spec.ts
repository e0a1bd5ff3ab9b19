import { describe, expect, it } from 'vitest';

import { NO_IDENTITY } from './identityDraft.ts';
import { ANY_MACHINE } from './machineDraft.ts';
import { EMPTY_DRAFT, toRequest } from './launchDraft.ts';
import { DEFAULT_PROXY } from './proxyDraft.ts';

describe('toRequest', () => {
  it('omits empty fields', () => {
    expect(toRequest(EMPTY_DRAFT)).toEqual({ vnc: false });
  });

  it('contains all filled fields', () => {
    expect(
      toRequest({
        profile: ' anna ',
        profileMode: 'copy',
        worker: 'eu',
        vnc: true,
        headless: 'true',
        idleTtlSeconds: '600',
        startUrl: ' example.com ',
        startUrlWait: 'none',
        onCrash: 'end',
        contexts: 'discard',
        proxy: { ...DEFAULT_PROXY, kind: 'pool', pool: 'eu' },
        identity: { ...NO_IDENTITY, timezone: 'auto' },
        machine: { ...ANY_MACHINE, seed: 'anna' },
        block: [],
        labels: [
          { row: 1, key: 'team', value: 'qa' },
          { row: 2, key: '', value: '' },
        ],
      }),
    ).toEqual({
      worker: 'eu',
      profile: 'anna',
      profile_mode: 'copy',
      vnc: true,
      headless: false,
      idle_ttl_seconds: 600,
      start_url: 'example.com',
      start_url_wait: 'none',
      on_crash: 'end',
      contexts: 'discard',
      proxy: 'eu',
      timezone: 'auto',
      seed: 'anna',
      block: [],
      labels: { team: 'qa' },
    });
  });
});

import { describe, expect, it } from 'vitest';

import { ANY_MACHINE, toMachine } from './machineDraft.ts';

describe('a machine as typed', () => {
  it('is omitted where it is empty', () => {
    expect(toMachine(ANY_MACHINE)).toEqual({});
    expect(toMachine({ ...ANY_MACHINE, os: ' , ', seed: '  ' })).toEqual({});
  });

  it('is sent as the API has it', () => {
    const draft = {
      os: 'Windows, macos',
      fonts: 'Fira Code',
      addons: 'ublock,',
      seed: ' anna ',
      gpuVendor: ' Intel ',
      gpuRenderer: 'Intel(R) HD Graphics, or similar',
      humanize: 'false',
      mainWorld: 'true',
    } as const;
    expect(toMachine(draft)).toEqual({
      os: ['windows', 'macos'],
      fonts: ['Fira Code'],
      addons: ['ublock'],
      seed: 'anna',
      webgl: { vendor: 'Intel', renderer: 'Intel(R) HD Graphics, or similar' },
      humanize: false,
      main_world_eval: true,
    });
    // The API says that the other half is missing.
    expect(toMachine({ ...ANY_MACHINE, gpuVendor: 'Intel' })).toEqual({
      webgl: { vendor: 'Intel', renderer: '' },
    });
  });
});

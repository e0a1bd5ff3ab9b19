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
      humanize: 'false',
    } as const;
    expect(toMachine(draft)).toEqual({
      os: ['windows', 'macos'],
      fonts: ['Fira Code'],
      addons: ['ublock'],
      seed: 'anna',
      humanize: false,
    });
  });
});

import { expect, it } from 'vitest';

import { Turnstile } from './concurrencyLimit.ts';

const { signal } = new AbortController();

/** Something that lasts until it is told to end. */
function held() {
  let end: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    end = resolve;
  });
  const deed = { begun: false, end, run: () => ((deed.begun = true), done) };
  return deed;
}

it('lets the next in when one has left, in the order in which they came', async () => {
  const turnstile = new Turnstile(1);
  const deeds = [held(), held(), held()];
  const passed = deeds.map(({ run }) => turnstile.pass(run, signal));
  const begun = () => deeds.map((deed) => deed.begun);
  await Promise.resolve();
  expect(begun()).toEqual([true, false, false]);
  deeds[0]?.end();
  await passed[0];
  expect(begun()).toEqual([true, true, false]);
  deeds[1]?.end();
  deeds[2]?.end();
  await Promise.all(passed);
});

it('gives the place of one that failed to the next', async () => {
  const turnstile = new Turnstile(1);
  const failure = turnstile.pass(() => Promise.reject(new Error('no')), signal);
  const next = turnstile.pass(() => Promise.resolve('yes'), signal);
  await expect(failure).rejects.toThrow('no');
  await expect(next).resolves.toBe('yes');
});

it('keeps no place for one that has stopped waiting', async () => {
  const turnstile = new Turnstile(1);
  const first = held();
  const passed = turnstile.pass(first.run, signal);
  const waiting = new AbortController();
  const second = held();
  const given = turnstile.pass(second.run, waiting.signal);
  waiting.abort(new Error('never mind'));
  await expect(given).rejects.toThrow('never mind');
  first.end();
  await passed;
  await expect(turnstile.pass(() => Promise.resolve('in'), signal)).resolves.toBe('in');
  expect(second.begun).toBe(false);
});

import { expect, it } from 'vitest';

import { ConcurrencyLimit } from './concurrencyLimit.ts';

const { signal } = new AbortController();

/** A task that runs until its `end` is called. */
function held() {
  let end: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    end = resolve;
  });
  const task = { started: false, end, run: () => ((task.started = true), done) };
  return task;
}

it('starts queued tasks in order as others finish', async () => {
  const limit = new ConcurrencyLimit(1);
  const tasks = [held(), held(), held()];
  const results = tasks.map(({ run }) => limit.run(run, signal));
  const started = () => tasks.map((task) => task.started);
  await Promise.resolve();
  expect(started()).toEqual([true, false, false]);
  tasks[0]?.end();
  await results[0];
  expect(started()).toEqual([true, true, false]);
  tasks[1]?.end();
  tasks[2]?.end();
  await Promise.all(results);
});

it('starts the next task after one that failed', async () => {
  const limit = new ConcurrencyLimit(1);
  const failure = limit.run(() => Promise.reject(new Error('no')), signal);
  const next = limit.run(() => Promise.resolve('yes'), signal);
  await expect(failure).rejects.toThrow('no');
  await expect(next).resolves.toBe('yes');
});

it('skips a task that was aborted while it was queued', async () => {
  const limit = new ConcurrencyLimit(1);
  const first = held();
  const results = limit.run(first.run, signal);
  const waiting = new AbortController();
  const second = held();
  const given = limit.run(second.run, waiting.signal);
  waiting.abort(new Error('never mind'));
  await expect(given).rejects.toThrow('never mind');
  first.end();
  await results;
  await expect(limit.run(() => Promise.resolve('in'), signal)).resolves.toBe('in');
  expect(second.started).toBe(false);
});

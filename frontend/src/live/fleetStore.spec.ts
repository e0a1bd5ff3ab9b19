import { expect, it, vi } from 'vitest';

import { aSession, healthyWorker } from '../test/server.ts';
import { FleetStore, sessionKey } from './fleetStore.ts';

const older = aSession({ id: 'a', created_at: '2024-05-01T12:00:00.000Z' });
const newer = aSession({ id: 'b', created_at: '2024-05-01T12:00:01.000Z' });

function filled(): FleetStore {
  const store = new FleetStore();
  store.replaceAll([older, newer], [healthyWorker]);
  return store;
}

it('lists the newest first', () => {
  expect(
    filled()
      .get()
      .sessions.map(({ id }) => id),
  ).toEqual(['b', 'a']);
});

it('keeps the object of a session that did not change', () => {
  const store = filled();
  store.replaceAll([{ ...older }, { ...newer, attached: 1 }], [healthyWorker]);
  const { byKey } = store.get();
  expect(byKey.get(sessionKey(older))).toBe(older);
  expect(byKey.get(sessionKey(newer))?.attached).toBe(1);
});

it('notifies its listeners once for all changes of one turn', async () => {
  const store = filled();
  await Promise.resolve();
  const listener = vi.fn();
  store.subscribe(listener);
  for (let count = 0; count < 100; count += 1) store.upsert({ ...older, attached: count });
  store.remove(newer);
  await Promise.resolve();
  expect(listener).toHaveBeenCalledTimes(1);
  expect(store.get().sessions).toHaveLength(1);
});

it('ignores changes of unknown sessions', () => {
  const store = filled();
  const before = store.get();
  store.patch({ worker: 'local', id: 'x' }, { status: 'DEAD' });
  store.noteActivity({ x: '2024-05-01T13:00:00.000Z' });
  store.remove({ worker: 'local', id: 'x' });
  expect(store.get()).toBe(before);
});

it('marks the sessions of a silent worker as stale, also those added later', () => {
  const store = filled();
  store.setWorker({ ...healthyWorker, stale: true });
  store.upsert(aSession({ id: 'c', stale: false }));
  expect(store.get().sessions.map(({ stale }) => stale)).toEqual([true, true, true]);
});

it('keeps the remaining workers in the order of the fleet', () => {
  const store = filled();
  store.keepWorkers(['early', healthyWorker.name]);
  store.setWorker({ ...healthyWorker, name: 'early' });
  expect(store.get().workers.map(({ name }) => name)).toEqual(['early', healthyWorker.name]);
  store.keepWorkers(['early']);
  expect(store.get().workers.map(({ name }) => name)).toEqual(['early']);
});

it('is empty after clear', () => {
  const store = filled();
  store.clear();
  expect(store.get()).toMatchObject({ known: false, sessions: [], workers: [] });
});

it('updates the traffic of a session and nothing else', () => {
  const store = filled();
  const egress = { ...older.egress, bytes_up: 5 } as NonNullable<typeof older.egress>;
  const unknown = aSession({ id: 'c' });
  const uncounted = aSession({ id: 'd', egress: null });
  store.upsert(uncounted);
  store.noteTraffic([
    { ...older, egress, status: 'TERMINATING' },
    { ...newer },
    unknown,
    { ...uncounted, egress },
  ]);
  const { byKey } = store.get();
  expect(byKey.get(sessionKey(older))).toEqual({ ...older, egress });
  expect(byKey.get(sessionKey(newer))).toBe(newer);
  expect(byKey.get(sessionKey(unknown))).toBeUndefined();
  expect(byKey.get(sessionKey(uncounted))).toBe(uncounted);
});

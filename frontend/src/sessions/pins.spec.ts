import { describe, expect, it } from 'vitest';

import { FleetStore } from '../live/fleetStore.ts';
import { aSession, healthyWorker } from '../test/server.ts';
import { endedPins, pins, togglePin } from './pins.ts';

const session = aSession({ id: 'a' });

function fleet(worker = healthyWorker) {
  const store = new FleetStore();
  store.replaceAll([session], [worker]);
  return store.get();
}

it('a session can be pinned and unpinned, and others keep their order', () => {
  togglePin({ worker: 'local', id: 'b' });
  togglePin(session);
  togglePin({ worker: 'local', id: 'c' });
  togglePin(session);
  expect(pins.get()).toEqual(['local/b', 'local/c']);
  expect(localStorage.getItem('camofleet.pins')).toBe('["local/b","local/c"]');
});

describe('pins', () => {
  it('end with their sessions', () => {
    expect(endedPins(['local/a', 'local/b', 'gone/a'], fleet())).toEqual(['local/b', 'gone/a']);
  });

  it('are kept while their worker does not answer', () => {
    expect(endedPins(['local/b'], fleet({ ...healthyWorker, stale: true }))).toEqual([]);
    expect(endedPins(['local/b'], fleet({ ...healthyWorker, healthy: false }))).toEqual([]);
  });

  it('are kept until the fleet is known', () => {
    expect(endedPins(['local/b'], new FleetStore().get())).toEqual([]);
  });
});

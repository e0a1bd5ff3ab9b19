import '@testing-library/jest-dom/vitest';

import { cleanup, configure } from '@testing-library/react';
import { afterAll, afterEach, beforeAll } from 'vitest';

import { access } from '../api/token.ts';
import {
  DEFAULT_ENDED_LAYOUT,
  DEFAULT_LIVE_LAYOUT,
  endedLayout,
  liveLayout,
} from '../hooks/tableLayout.ts';
import { dismissAll } from '../hooks/useNotices.ts';
import { server } from './server.ts';

// jsdom has the element but not its methods. Being open is all the panel relies on in a test.
HTMLDialogElement.prototype.showModal = function showModal(this: HTMLDialogElement) {
  this.open = true;
};
HTMLDialogElement.prototype.close = function close(this: HTMLDialogElement) {
  this.open = false;
};

// Nothing is laid out in jsdom, so nothing changes its size either.
globalThis.ResizeObserver = class {
  observe = () => undefined;
  unobserve = () => undefined;
  disconnect = () => undefined;
};

// A ceiling, not a wait: a busy machine may take its time.
configure({ asyncUtilTimeout: 10_000 });

beforeAll(() => {
  server.listen({ onUnhandledRequest: 'error' });
});

afterEach(() => {
  cleanup();
  server.resetHandlers();
  access.forget();
  localStorage.clear();
  liveLayout.set(DEFAULT_LIVE_LAYOUT);
  endedLayout.set(DEFAULT_ENDED_LAYOUT);
  dismissAll();
});

afterAll(() => {
  server.close();
});

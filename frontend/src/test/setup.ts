import '@testing-library/jest-dom/vitest';

import { cleanup, configure } from '@testing-library/react';
import { afterAll, afterEach, beforeAll } from 'vitest';

import { noteAnswer } from '../api/reachability.ts';
import { access } from '../api/token.ts';
import { dismissAll } from '../hooks/useNotices.ts';
import { server } from './server.ts';

// jsdom has the element but not its methods. Being open is all the panel relies on in a test.
HTMLDialogElement.prototype.showModal = function showModal(this: HTMLDialogElement) {
  this.open = true;
};
HTMLDialogElement.prototype.close = function close(this: HTMLDialogElement) {
  this.open = false;
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
  noteAnswer();
  dismissAll();
});

afterAll(() => {
  server.close();
});

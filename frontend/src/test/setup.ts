import '@testing-library/jest-dom/vitest';

import { cleanup, configure } from '@testing-library/react';
import { afterAll, afterEach, beforeAll } from 'vitest';

import { launchPresets, NO_PRESETS } from '../launch/presets.ts';
import { openAccessDismissal } from '../panel/OpenAccessWarning.tsx';
import { access } from '../api/token.ts';
import {
  DEFAULT_ENDED_LAYOUT,
  DEFAULT_LIVE_LAYOUT,
  endedLayout,
  liveLayout,
} from '../sessions/tableLayout.ts';
import { dismissAll } from '../ui/notices.ts';
import { language } from '../i18n/language.ts';
import { theme } from '../ui/theme.ts';
import { DEFAULT_LAYOUT, previewsOpen, wallLayout } from '../wall/preferences.ts';
import { pins } from '../sessions/pins.ts';
import { forgettable } from '../lib/forgettable.ts';
import { server } from './server.ts';

// jsdom has no layout, so no element changes its size.
globalThis.ResizeObserver = class {
  observe = () => undefined;
  unobserve = () => undefined;
  disconnect = () => undefined;
};

// Every element is in view unless a test says otherwise.
globalThis.IntersectionObserver = class {
  readonly root = null;
  readonly rootMargin = '';
  readonly scrollMargin = '';
  readonly thresholds = [];
  readonly #report: IntersectionObserverCallback;
  constructor(report: IntersectionObserverCallback) {
    this.#report = report;
  }
  observe = (target: Element) => {
    this.#report([{ target, isIntersecting: true } as IntersectionObserverEntry], this);
  };
  unobserve = () => undefined;
  disconnect = () => undefined;
  takeRecords = () => [];
};
// The media queries of a wide window match.
window.matchMedia = (media) =>
  Object.assign(new EventTarget(), {
    media,
    matches: media.startsWith('(min-width'),
    onchange: null,
    addListener: () => undefined,
    removeListener: () => undefined,
  });

// An upper limit for busy machines, not a delay.
configure({ asyncUtilTimeout: 10_000 });

beforeAll(() => {
  server.listen({ onUnhandledRequest: 'error' });
});

afterEach(() => {
  cleanup();
  server.resetHandlers();
  access.forget();
  localStorage.clear();
  sessionStorage.clear();
  openAccessDismissal.set(false);
  liveLayout.set(DEFAULT_LIVE_LAYOUT);
  endedLayout.set(DEFAULT_ENDED_LAYOUT);
  pins.set([]);
  previewsOpen.set(true);
  wallLayout.set(DEFAULT_LAYOUT);
  launchPresets.set(NO_PRESETS);
  language.set('en');
  theme.set('system');
  dismissAll();
  for (const forget of forgettable) forget();
});

afterAll(() => {
  server.close();
});

import { useSyncExternalStore } from 'react';

import { theme } from './theme.ts';

const DARK = '(prefers-color-scheme: dark)';

function subscribe(listener: () => void): () => void {
  const system = window.matchMedia(DARK);
  system.addEventListener('change', listener);
  const unsubscribe = theme.subscribe(listener);
  return () => {
    system.removeEventListener('change', listener);
    unsubscribe();
  };
}

function get(): 'light' | 'dark' {
  const chosen = theme.get();
  if (chosen !== 'system') return chosen;
  return window.matchMedia(DARK).matches ? 'dark' : 'light';
}

/** The current colour scheme, for drawing by script. */
export function useColourScheme(): 'light' | 'dark' {
  return useSyncExternalStore(subscribe, get);
}

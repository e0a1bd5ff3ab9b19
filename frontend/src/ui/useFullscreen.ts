import { type RefObject, useEffect, useState } from 'react';

import { i18n } from '../i18n/i18n.ts';
import { notifyError } from './notices.ts';

/** The fullscreen state of an element. */
export interface Fullscreen {
  /** Whether the browser allows fullscreen. */
  possible: boolean;
  on: boolean;
  toggle: () => void;
}

/** Lets an element be shown in fullscreen mode. */
export function useFullscreen(element: RefObject<HTMLElement | null>): Fullscreen {
  const [on, setOn] = useState(false);

  useEffect(() => {
    // Escape and the browser's own controls end it as well.
    const follow = () => {
      setOn(element.current !== null && document.fullscreenElement === element.current);
    };
    document.addEventListener('fullscreenchange', follow);
    return () => {
      document.removeEventListener('fullscreenchange', follow);
    };
  }, [element]);

  const toggle = () => {
    const change = on ? document.exitFullscreen() : element.current?.requestFullscreen();
    change?.catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      notifyError(i18n.t('live:fullscreen.refused', { reason }));
    });
  };

  return { possible: document.fullscreenEnabled, on, toggle };
}

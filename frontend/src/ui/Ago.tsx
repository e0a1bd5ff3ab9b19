import type { ReactNode } from 'react';

import { language } from '../i18n/language.ts';
import { useServerNow } from '../lib/useNow.ts';
import { useStore } from '../lib/useStore.ts';
import { agoText, momentText } from './format.ts';

/** How long ago a time was, with the exact time as its tooltip. */
export function Ago({ timestamp }: { timestamp: string }): ReactNode {
  const now = useServerNow();
  // Re-renders when the language changes.
  useStore(language);
  return (
    <time dateTime={timestamp} title={momentText(timestamp)}>
      {agoText(timestamp, now)}
    </time>
  );
}

import type { ReactNode } from 'react';

import { language } from '../i18n/language.ts';
import { useServerNow } from '../lib/useNow.ts';
import { useStore } from '../lib/useStore.ts';
import { agoText, momentText } from './format.ts';

/** A moment as "how long ago", with the exact time on hover. */
export function Ago({ timestamp }: { timestamp: string }): ReactNode {
  const now = useServerNow();
  // What it says is in the language of the moment.
  useStore(language);
  return (
    <time dateTime={timestamp} title={momentText(timestamp)}>
      {agoText(timestamp, now)}
    </time>
  );
}

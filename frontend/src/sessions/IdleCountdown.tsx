import type { CSSProperties, ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import { useTexts } from '../i18n/useTexts.ts';
import { useServerNow } from '../lib/useNow.ts';
import { clockText } from '../ui/format.ts';
import { idleSecondsLeft } from './sessionText.ts';

/** The remaining idle TTL of a session, counting down. */
export function IdleCountdown({ session }: { session: Session }): ReactNode {
  const t = useTexts('sessions');
  const now = useServerNow();
  const left = idleSecondsLeft(session, now);
  const share = left / session.idle_ttl_seconds;
  return (
    <span
      className={share < 0.2 ? 'countdown short' : 'countdown'}
      style={{ '--share': Math.min(1, share) } as CSSProperties}
      role="timer"
      aria-label={t('idleLeft')}
      title={t('idleOf', { time: clockText(session.idle_ttl_seconds) })}
    >
      {clockText(left)}
    </span>
  );
}

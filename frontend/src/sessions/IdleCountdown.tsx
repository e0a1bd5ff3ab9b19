import type { CSSProperties, ReactNode } from 'react';

import type { Session } from '../api/types.ts';
import { useTexts } from '../i18n/useTexts.ts';
import { useServerNow } from '../lib/useNow.ts';
import { endsWhenIdle, idleSecondsLeft, idleText } from './sessionText.ts';

/** The remaining idle TTL of a session, counting down. */
export function IdleCountdown({ session }: { session: Session }): ReactNode {
  const t = useTexts('sessions');
  const now = useServerNow();
  if (!endsWhenIdle(session)) {
    return <span title={t('neverIdleHint')}>{t('neverIdle')}</span>;
  }
  const left = idleSecondsLeft(session, now);
  const share = left / session.idle_ttl_seconds;
  return (
    <span
      className={share < 0.2 ? 'countdown short' : 'countdown'}
      style={{ '--share': Math.min(1, share) } as CSSProperties}
      role="timer"
      aria-label={t('idleLeft')}
      title={t('idleOf', { time: idleText(session.idle_ttl_seconds) })}
    >
      {idleText(left)}
    </span>
  );
}

import type { TFunction } from 'i18next';

/** What a VNC server may ask for before it lets a viewer in. */
export type CredentialKind = 'username' | 'password' | 'target';

/** Why there is no connection any more. */
export type Loss =
  /** In the words of the other side, or of the browser here. */
  | { kind: 'reported'; text: string }
  /** The screen wants another password, or nobody at all; with its own reason, if it gave one. */
  | { kind: 'refused'; text: string | undefined }
  | { kind: 'timeout' | 'lost' | 'unreadable' | 'unreachable' }
  /** The session is there, and no WebSocket to its screen has ever opened. */
  | { kind: 'blocked' }
  /** For good: the session is over, there is no such screen, or the address does not open it. */
  | { kind: 'over' | 'absent' | 'locked' };

/** The state of a live view, as the screen shows it. */
export type LiveStatus =
  | { state: 'connecting' }
  /** It wants to know who asks; after a refusal, with what was wrong. */
  | { state: 'protected'; wanted: CredentialKind[]; refusal: Loss | null }
  | { state: 'connected' }
  | { state: 'disconnected'; loss: Loss; retryAt: number | null };

function lossText(t: TFunction<'screen'>, loss: Loss): string {
  if (loss.kind === 'reported') return loss.text;
  if (loss.kind === 'refused' && loss.text) {
    return t('loss.refusedBecause', { reason: loss.text });
  }
  return t(`loss.${loss.kind}`);
}

/**
 * The state in words.
 *
 * @param t the texts of live screens in the language of the moment
 * @param now this moment (ms since the epoch), for the seconds until the next attempt
 */
export function statusText(t: TFunction<'screen'>, status: LiveStatus, now: number): string {
  switch (status.state) {
    case 'connecting':
      return t('status.connecting');
    case 'protected':
      return status.refusal
        ? t('status.protectedStill', { reason: lossText(t, status.refusal) })
        : t('status.protected');
    case 'connected':
      return t('status.connected');
    case 'disconnected': {
      const reason = lossText(t, status.loss);
      if (status.retryAt === null) return reason;
      const seconds = Math.max(1, Math.ceil((status.retryAt - now) / 1000));
      return t('status.again', { reason, seconds });
    }
  }
}

import type { TFunction } from 'i18next';

/** The credentials that a VNC server may ask for. */
export type CredentialKind = 'username' | 'password' | 'target';

/** The reason of a lost connection. */
export type Loss =
  /** A reason in the words of the server or of the local browser. */
  | { kind: 'reported'; text: string }
  /** The VNC server refused the credentials or the viewer, with its reason if it gave one. */
  | { kind: 'refused'; text: string | undefined }
  | { kind: 'timeout' | 'lost' | 'unreadable' | 'unreachable' }
  /** The session exists, but no WebSocket to its screen has ever opened. */
  | { kind: 'blocked' }
  /** The session is being restarted. */
  | { kind: 'restarting' }
  /** Permanent: the session is over, the view does not exist, or the address lacks the key. */
  | { kind: 'over' | 'absent' | 'locked' };

/** The state of a live view. */
export type LiveStatus =
  | { state: 'connecting' }
  /** Waiting for credentials; after a refusal with its reason. */
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
 * Describes the state.
 *
 * @param t the texts of live screens in the current language
 * @param now the current time (ms since the epoch), for the seconds until the next attempt
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

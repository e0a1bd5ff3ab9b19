/** What a VNC server may ask for before it lets a viewer in. */
export type CredentialKind = 'username' | 'password' | 'target';

/** The state of a live view, as the screen shows it. */
export type LiveStatus =
  | { state: 'connecting'; wanted: CredentialKind[] }
  | { state: 'connected' }
  | { state: 'disconnected'; reason: string; retryAt: number | null };

/** The state in words; `now` (ms) is for the seconds until the next attempt. */
export function statusText(status: LiveStatus, now: number): string {
  switch (status.state) {
    case 'connecting':
      return status.wanted.length > 0 ? 'The screen is protected.' : 'Connecting…';
    case 'connected':
      return 'Connected';
    case 'disconnected': {
      if (status.retryAt === null) return status.reason;
      const seconds = Math.max(1, Math.ceil((status.retryAt - now) / 1000));
      return `${status.reason} Trying again in ${seconds}\u00a0s.`;
    }
  }
}

/** The caption of a credential's field. */
export function credentialCaption(kind: CredentialKind): string {
  return { username: 'User name', password: 'Password', target: 'Target' }[kind];
}

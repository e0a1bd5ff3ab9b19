import { type KeyboardEvent, type ReactNode, type RefObject, useId } from 'react';
import { useTranslation } from 'react-i18next';

import { useNow } from '../lib/useNow.ts';
import { type CredentialKind, type LiveStatus, statusText } from './status.ts';

interface LiveScreenProps {
  sessionId: string;
  status: LiveStatus;
  /** A ref for the element that gets the canvas. */
  screen: RefObject<HTMLDivElement | null>;
  onCredentials: (credentials: Partial<Record<CredentialKind, string>>) => void;
  /** Called when the user releases the keyboard. */
  onRelease: () => void;
}

/** The shortcut that releases the keyboard from the live view: Ctrl+Alt+Shift+X. */
function isReleaseKey(event: KeyboardEvent): boolean {
  return event.ctrlKey && event.altKey && event.shiftKey && event.code === 'KeyX';
}

/** A session's screen, or the reason why it is not shown. */
export function LiveScreen(props: LiveScreenProps): ReactNode {
  const { t } = useTranslation('live');
  const { sessionId, status, screen, onCredentials, onRelease } = props;
  return (
    <div
      className="live-screen"
      role="application"
      aria-label={t('screen', { id: sessionId })}
      data-testid="live-screen"
      data-state={status.state}
      onKeyDownCapture={(event) => {
        if (!isReleaseKey(event)) return;
        event.preventDefault();
        event.stopPropagation();
        onRelease();
      }}
    >
      <div className="live-screen-canvas" ref={screen} />
      {status.state !== 'connected' && (
        <div className="live-screen-box">
          <StatusLine status={status} />
          {status.state === 'protected' && (
            <CredentialForm kinds={status.wanted} onSubmit={onCredentials} />
          )}
        </div>
      )}
    </div>
  );
}

function StatusLine({ status }: { status: LiveStatus }): ReactNode {
  const { t } = useTranslation('screen');
  const now = useNow();
  return <p role="status">{statusText(t, status, now)}</p>;
}

interface CredentialFormProps {
  kinds: CredentialKind[];
  onSubmit: (credentials: Partial<Record<CredentialKind, string>>) => void;
}

function CredentialForm({ kinds, onSubmit }: CredentialFormProps): ReactNode {
  const { t } = useTranslation('screen');
  const id = useId();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget);
        onSubmit(
          Object.fromEntries(
            kinds.map((kind) => {
              const value = form.get(kind);
              return [kind, typeof value === 'string' ? value : ''];
            }),
          ),
        );
      }}
    >
      {kinds.map((kind) => (
        <div className="field" key={kind}>
          <label htmlFor={`${id}-${kind}`}>{t(`credentials.${kind}`)}</label>
          <input
            id={`${id}-${kind}`}
            name={kind}
            type={kind === 'password' ? 'password' : 'text'}
            autoComplete={kind === 'password' ? 'current-password' : 'off'}
          />
        </div>
      ))}
      <button type="submit" className="button primary">
        {t('credentials.connect')}
      </button>
    </form>
  );
}

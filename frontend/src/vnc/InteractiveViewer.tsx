import { type ReactNode, useCallback, useId, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Icon } from '../ui/icons.tsx';
import { useFullscreen } from '../ui/useFullscreen.ts';
import { LiveClipboard } from './LiveClipboard.tsx';
import { LiveKeys } from './LiveKeys.tsx';
import { LiveQuality } from './LiveQuality.tsx';
import { LiveScreen } from './LiveScreen.tsx';
import { useLiveConnection } from './useLiveConnection.ts';
import { useLiveQuality } from './useLiveQuality.ts';

interface InteractiveViewerProps {
  sessionId: string;
  /** The WebSocket URL of the live view. */
  url: string;
}

/**
 * A live view with all its controls. It is a chunk of its own because it contains noVNC, which most visits to
 * the panel never need.
 */
export default function InteractiveViewer({ sessionId, url }: InteractiveViewerProps): ReactNode {
  const { t } = useTranslation('live');
  const [control, setControl] = useState(false);
  const [scaled, setScaled] = useState(true);
  const [clipboardOpen, setClipboardOpen] = useState(false);
  const clipboardId = useId();
  const desk = useRef<HTMLDivElement>(null);
  const controlSwitch = useRef<HTMLInputElement>(null);
  const fullscreen = useFullscreen(desk);
  const { status, screen, remoteText, withConnection } = useLiveConnection(url, {
    viewOnly: !control,
    scaled,
  });
  const connected = status.state === 'connected';
  const received = useCallback(
    () => withConnection((connection) => connection.received) ?? 0,
    [withConnection],
  );
  const quality = useLiveQuality(connected, received);

  return (
    <div className="live-desk" ref={desk}>
      <div className="live-bar" role="group" aria-label={t('label')}>
        <label className="switch">
          <input
            ref={controlSwitch}
            type="checkbox"
            role="switch"
            checked={control}
            onChange={(event) => {
              setControl(event.target.checked);
            }}
          />
          {t('control')}
        </label>
        <div className="choice" role="group" aria-label={t('size.label')}>
          <ToggleButton
            pressed={scaled}
            text={t('size.fit')}
            onClick={() => {
              setScaled(true);
            }}
          />
          <ToggleButton
            pressed={!scaled}
            text={t('size.original')}
            onClick={() => {
              setScaled(false);
            }}
          />
        </div>
        {fullscreen.possible && (
          <button type="button" className="button small" onClick={fullscreen.toggle}>
            <Icon name="expand" />
            {fullscreen.on ? t('fullscreen.leave') : t('fullscreen.enter')}
          </button>
        )}
        <button
          type="button"
          className="button small"
          aria-expanded={clipboardOpen}
          aria-controls={clipboardId}
          onClick={() => {
            setClipboardOpen(!clipboardOpen);
          }}
        >
          <Icon name="clipboard" />
          {t('clipboard.label')}
        </button>
        <LiveQuality quality={quality} />
      </div>
      {control && connected && (
        <LiveKeys
          onKey={(key, down) => {
            withConnection((connection) => {
              connection.sendKey(key, down);
            });
          }}
          onCtrlAltDel={() => {
            withConnection((connection) => {
              connection.sendCtrlAltDel();
            });
          }}
        />
      )}
      <div id={clipboardId} hidden={!clipboardOpen}>
        <LiveClipboard
          remoteText={remoteText}
          canSend={control && connected}
          onSend={(text) => {
            withConnection((connection) => {
              connection.sendText(text);
            });
          }}
        />
      </div>
      <LiveScreen
        sessionId={sessionId}
        status={status}
        screen={screen}
        onCredentials={(credentials) => {
          withConnection((connection) => {
            connection.sendCredentials(credentials);
          });
        }}
        onRelease={() => {
          setControl(false);
          controlSwitch.current?.focus();
        }}
      />
      {control && <p className="hint live-hint">{t('controlHint')}</p>}
    </div>
  );
}

interface ToggleButtonProps {
  pressed: boolean;
  text: string;
  onClick: () => void;
}

function ToggleButton({ pressed, text, onClick }: ToggleButtonProps): ReactNode {
  return (
    <button type="button" className="button small" aria-pressed={pressed} onClick={onClick}>
      {text}
    </button>
  );
}

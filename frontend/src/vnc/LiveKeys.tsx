import { type ComponentProps, type ReactNode, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { Menu } from '../ui/Menu.tsx';
import { FUNCTION_KEYS, HELD_KEYS, PRESSED_KEYS, type RemoteKey } from './keys.ts';

interface LiveKeysProps {
  onKey: (key: RemoteKey, down?: boolean) => void;
  onCtrlAltDel: () => void;
}

/**
 * Buttons for keys that the local browser keeps to itself. It is mounted only while the view is connected and
 * has control, so that its state matches the remote keys: they are released when either ends.
 */
export function LiveKeys({ onKey, onCtrlAltDel }: LiveKeysProps): ReactNode {
  const { t } = useTranslation('live');
  const [held, setHeld] = useState<ReadonlySet<string>>(new Set());

  const toggle = (key: RemoteKey) => {
    const down = !held.has(key.name);
    onKey(key, down);
    const next = new Set(held);
    if (down) next.add(key.name);
    else next.delete(key.name);
    setHeld(next);
  };

  return (
    <div className="live-keys" role="group" aria-label={t('keys.label')}>
      {PRESSED_KEYS.map((key) => (
        <KeyButton
          key={key.name}
          onClick={() => {
            onKey(key);
          }}
        >
          {key.name}
        </KeyButton>
      ))}
      {HELD_KEYS.map((key) => (
        <KeyButton
          key={key.name}
          aria-pressed={held.has(key.name)}
          title={t('keys.hold', { key: key.name })}
          onClick={() => {
            toggle(key);
          }}
        >
          {key.name}
        </KeyButton>
      ))}
      <Menu
        label={t('keys.function')}
        short
        items={FUNCTION_KEYS.map((key) => ({ id: key.name, text: key.name }))}
        onChoose={(name) => {
          const chosen = FUNCTION_KEYS.find((key) => key.name === name);
          if (chosen) onKey(chosen);
        }}
      />
      <KeyButton onClick={onCtrlAltDel}>{t('keys.ctrlAltDel')}</KeyButton>
    </div>
  );
}

/** A button that does not take the focus from the screen, so that Ctrl can be clicked and C typed. */
function KeyButton(props: ComponentProps<'button'>): ReactNode {
  return (
    <button
      {...props}
      type="button"
      className="button small"
      onMouseDown={(event) => {
        event.preventDefault();
      }}
    />
  );
}

import type { ReactNode } from 'react';

import { Icon, type IconName } from './icons.tsx';

interface IconButtonProps {
  icon: IconName;
  /** Its accessible name and tooltip. */
  label: string;
  onClick: () => void;
  disabled?: boolean;
  danger?: boolean;
  /** For toggle buttons: whether it is on. */
  pressed?: boolean;
}

/** A button with an icon only. */
export function IconButton(props: IconButtonProps): ReactNode {
  const { icon, label, onClick, disabled = false, danger = false, pressed } = props;
  return (
    <button
      type="button"
      className={danger ? 'icon-button danger' : 'icon-button'}
      aria-label={label}
      aria-pressed={pressed}
      title={label}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

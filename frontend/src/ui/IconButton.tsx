import type { ReactNode } from 'react';

import { Icon, type IconName } from './icons.tsx';

interface IconButtonProps {
  icon: IconName;
  /** What the button does and to what: its name for assistive technology and its tooltip. */
  label: string;
  onClick: () => void;
  disabled?: boolean;
  danger?: boolean;
  /** For a button that switches something: whether that is on. */
  pressed?: boolean;
}

/** A button that shows an icon only. */
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

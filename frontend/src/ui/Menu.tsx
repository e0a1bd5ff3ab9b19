import { Menu as Base } from '@base-ui/react/menu';
import type { ReactNode } from 'react';

import { Icon } from './icons.tsx';

interface MenuProps {
  label: string;
  items: { id: string; text: string }[];
  onChoose: (id: string) => void;
  /** Whether the items are short enough to be placed side by side. */
  short?: boolean;
}

/** A button that opens a menu of actions. */
export function Menu({ label, items, onChoose, short = false }: MenuProps): ReactNode {
  return (
    <Base.Root modal={false}>
      <Base.Trigger className="button small">
        {label}
        <Icon name="chevron" />
      </Base.Trigger>
      <MenuPopup label={label} short={short}>
        {items.map((item) => (
          <Base.Item
            key={item.id}
            onClick={() => {
              onChoose(item.id);
            }}
          >
            {item.text}
          </Base.Item>
        ))}
      </MenuPopup>
    </Base.Root>
  );
}

interface MenuPopupProps {
  label: string;
  short?: boolean;
  children: ReactNode;
}

/** The popup of a menu. */
export function MenuPopup({ label, short = false, children }: MenuPopupProps): ReactNode {
  return (
    // In fullscreen mode only descendants of the fullscreen element are visible. `null` would make the portal
    // wait.
    <Base.Portal container={(document.fullscreenElement as HTMLElement | null) ?? document.body}>
      <Base.Positioner className="menu-positioner" sideOffset={4} align="end">
        <Base.Popup
          className={short ? 'menu-items short card' : 'menu-items card'}
          aria-label={label}
        >
          {children}
        </Base.Popup>
      </Base.Positioner>
    </Base.Portal>
  );
}

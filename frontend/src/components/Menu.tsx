import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from 'react';

import { Icon } from './icons.tsx';

interface MenuProps {
  label: string;
  items: { id: string; text: string }[];
  onChoose: (id: string) => void;
}

/** A button that opens a menu of actions: arrow keys go through it, Escape and a click elsewhere close it. */
export function Menu({ label, items, onChoose }: MenuProps): ReactNode {
  const [open, setOpen] = useState(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  const focusItem = (find: (at: number, count: number) => number) => {
    const entries = [...(root.current?.querySelectorAll<HTMLElement>('[role=menuitem]') ?? [])];
    const at = entries.findIndex((entry) => entry === document.activeElement);
    entries[find(at, entries.length)]?.focus();
  };

  useEffect(() => {
    if (!open) return;
    focusItem(() => 0);
    const closeElsewhere = ({ target }: Event) => {
      if (target instanceof Node && root.current?.contains(target)) return;
      setOpen(false);
    };
    document.addEventListener('pointerdown', closeElsewhere);
    document.addEventListener('focusin', closeElsewhere);
    return () => {
      document.removeEventListener('pointerdown', closeElsewhere);
      document.removeEventListener('focusin', closeElsewhere);
    };
  }, [open]);

  const close = () => {
    setOpen(false);
    button.current?.focus();
  };

  const move = (event: KeyboardEvent) => {
    const moves: Record<string, () => void> = {
      ArrowDown: () => {
        focusItem((at, count) => (at + 1) % count);
      },
      ArrowUp: () => {
        focusItem((at, count) => (at + count - 1) % count);
      },
      Home: () => {
        focusItem(() => 0);
      },
      End: () => {
        focusItem((_, count) => count - 1);
      },
      Escape: close,
    };
    const act = moves[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };

  return (
    <div className="menu" ref={root}>
      <button
        ref={button}
        type="button"
        className="button small"
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => {
          setOpen(!open);
        }}
      >
        {label}
        <Icon name="chevron" />
      </button>
      {open && (
        <div
          className="menu-items card"
          role="menu"
          id={id}
          aria-label={label}
          tabIndex={-1}
          onKeyDown={move}
        >
          {items.map((item) => (
            <button
              key={item.id}
              type="button"
              role="menuitem"
              tabIndex={-1}
              onClick={() => {
                onChoose(item.id);
                close();
              }}
            >
              {item.text}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

import { type KeyboardEvent, type ReactNode, useId, useRef } from 'react';

/** One tab and what it shows. */
export interface Tab<T extends string> {
  id: T;
  title: string;
  content: ReactNode;
}

interface TabsProps<T extends string> {
  /** What the tabs are a choice of. */
  label: string;
  tabs: Tab<T>[];
  selected: T;
  onSelect: (id: T) => void;
}

/** How far an arrow key goes; Home and End are beside it. */
const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1 };

function target(key: string, at: number, length: number): number | null {
  if (key === 'Home') return 0;
  if (key === 'End') return length - 1;
  const step = STEPS[key];
  return step === undefined ? null : (at + step + length) % length;
}

/** Tabs as ARIA describes them: one stop for the Tab key, arrows between them, and the chosen one is shown at once. */
export function Tabs<T extends string>(props: TabsProps<T>): ReactNode {
  const { label, tabs, selected, onSelect } = props;
  const baseId = useId();
  const list = useRef<HTMLDivElement>(null);
  const shown = tabs.find(({ id }) => id === selected) ?? tabs[0];
  if (!shown) return null;

  const move = (event: KeyboardEvent) => {
    const index = target(event.key, tabs.indexOf(shown), tabs.length);
    const next = index === null ? undefined : tabs[index];
    if (index === null || !next) return;
    event.preventDefault();
    onSelect(next.id);
    list.current?.querySelectorAll<HTMLElement>('[role=tab]')[index]?.focus();
  };

  return (
    <div className="tabs">
      <div className="tab-list" role="tablist" aria-label={label} ref={list}>
        {tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${baseId}-${tab.id}`}
            aria-selected={tab === shown}
            aria-controls={`${baseId}-panel`}
            tabIndex={tab === shown ? 0 : -1}
            onClick={() => {
              onSelect(tab.id);
            }}
            onKeyDown={move}
          >
            {tab.title}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${baseId}-panel`} aria-labelledby={`${baseId}-${shown.id}`}>
        {shown.content}
      </div>
    </div>
  );
}

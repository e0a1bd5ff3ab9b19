import { Tabs as Base } from '@base-ui/react/tabs';
import type { ReactNode } from 'react';

/** One tab and its content. */
export interface Tab<T extends string> {
  id: T;
  title: string;
  content: ReactNode;
}

interface TabsProps<T extends string> {
  /** The accessible name of the tab list. */
  label: string;
  tabs: Tab<T>[];
  selected: T;
  onSelect: (id: T) => void;
}

/** Tabs; the arrow keys move between them. */
export function Tabs<T extends string>(props: TabsProps<T>): ReactNode {
  const { label, tabs, selected, onSelect } = props;
  return (
    <Base.Root
      className="tabs"
      value={selected}
      onValueChange={(id: T) => {
        onSelect(id);
      }}
    >
      <Base.List className="tab-list" aria-label={label} activateOnFocus>
        {tabs.map((tab) => (
          <Base.Tab key={tab.id} value={tab.id}>
            {tab.title}
          </Base.Tab>
        ))}
      </Base.List>
      {tabs.map((tab) => (
        <Base.Panel key={tab.id} value={tab.id}>
          {tab.content}
        </Base.Panel>
      ))}
    </Base.Root>
  );
}

import { Menu } from '@base-ui/react/menu';
import { type ReactNode, useDeferredValue, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { exitsOf } from './exits.ts';
import { isFiltering, labelsOf, NO_FILTER, type SessionFilter } from './sessionFilter.ts';
import type { Session, SessionStatus } from '../api/types.ts';
import { ClearButton } from '../ui/ClearButton.tsx';
import { FilterSelect } from '../ui/FilterSelect.tsx';
import { Icon } from '../ui/icons.tsx';
import { MenuPopup } from '../ui/Menu.tsx';
import { SearchField } from '../ui/SearchField.tsx';
import type { SessionColumn } from './sessionColumns.tsx';
import type { TableLayout } from './SessionTable.tsx';

const STATES: readonly SessionStatus[] = ['INIT', 'READY', 'TERMINATING'];

interface SessionFiltersProps {
  sessions: readonly Session[];
  filter: SessionFilter;
  onFilter: (filter: SessionFilter) => void;
  columns: readonly SessionColumn[];
  layout: TableLayout;
  onLayout: (layout: TableLayout) => void;
  /** Whether to offer a filter by state: ended sessions all have the same. */
  withState: boolean;
}

/** The filters of a session list, and the choice of its columns. */
export function SessionFilters(props: SessionFiltersProps): ReactNode {
  const { sessions, filter, onFilter, columns, layout, onLayout, withState } = props;
  const { t, i18n } = useTranslation('sessions');
  // Options may lag behind the list, so that typing stays responsive.
  const known = useDeferredValue(sessions);
  const exits = useMemo(
    () => exitsOf(known),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- their texts change with the language
    [known, i18n.language],
  );
  const change = (part: Partial<SessionFilter>) => {
    onFilter({ ...filter, ...part });
  };
  const common = { items: sessions, filter, onFilter };
  return (
    <search className="filters">
      <SearchField
        label={t('filters.search')}
        hint={t('filters.searchHint')}
        value={filter.search}
        onChange={(search) => {
          change({ search });
        }}
      />
      {withState && (
        <FilterSelect
          label={t('filters.state')}
          all={t('filters.allStates')}
          value={filter.status}
          choices={STATES}
          onChange={(status) => {
            change({ status });
          }}
        />
      )}
      <WorkerFilter {...common} label={t('filters.worker')} all={t('filters.allWorkers')} />
      <LabelFilter {...common} label={t('filters.label')} all={t('filters.allLabels')} />
      {(exits.size > 1 || filter.exit !== '') && (
        <FilterSelect
          label={t('filters.exit')}
          all={t('filters.allExits')}
          value={filter.exit}
          choices={[...exits.keys()]}
          textOf={(exit) => exits.get(exit) ?? exit}
          onChange={(exit) => {
            change({ exit });
          }}
        />
      )}
      {isFiltering(filter) && (
        <ClearButton
          text={t('filters.clear')}
          onClear={() => {
            onFilter(NO_FILTER);
          }}
        />
      )}
      <ColumnsMenu columns={columns} layout={layout} onLayout={onLayout} />
    </search>
  );
}

interface PartProps<F> {
  /** The sessions or profiles that are filtered. Options may lag behind them, so that typing stays responsive. */
  items: readonly (Pick<Session, 'labels'> & { worker?: string })[];
  filter: F;
  onFilter: (filter: F) => void;
  /** Its accessible name. */
  label: string;
  /** The text of the choice that excludes nothing. */
  all: string;
}

/** A filter by worker. */
export function WorkerFilter<F extends { worker: string }>(props: PartProps<F>): ReactNode {
  const { items, filter, onFilter, label, all } = props;
  const known = useDeferredValue(items);
  const workers = useMemo(
    () => [...new Set(known.map(({ worker = '' }) => worker))].sort(),
    [known],
  );
  return (
    <FilterSelect
      label={label}
      all={all}
      value={filter.worker}
      choices={workers}
      onChange={(worker) => {
        onFilter({ ...filter, worker });
      }}
    />
  );
}

/** A filter by label. */
export function LabelFilter<F extends { label: string }>(props: PartProps<F>): ReactNode {
  const { items, filter, onFilter, label: name, all } = props;
  const known = useDeferredValue(items);
  const labels = useMemo(() => labelsOf(known), [known]);
  return (
    <FilterSelect
      label={name}
      all={all}
      value={filter.label}
      choices={labels}
      onChange={(label) => {
        onFilter({ ...filter, label });
      }}
    />
  );
}

type ColumnsMenuProps = Pick<SessionFiltersProps, 'columns' | 'layout' | 'onLayout'>;

/** The choice of columns. It stays open, because several are often changed at once. */
function ColumnsMenu({ columns, layout, onLayout }: ColumnsMenuProps): ReactNode {
  const { t } = useTranslation('sessions');
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className="button small columns-button">
        {t('filters.columns')}
        <Icon name="chevron" />
      </Menu.Trigger>
      <MenuPopup label={t('filters.columns')}>
        {columns
          .filter((column) => column.fixed !== true)
          .map(({ id }) => (
            <Menu.CheckboxItem
              key={id}
              closeOnClick={false}
              checked={!layout.hidden.includes(id)}
              onCheckedChange={(shown) => {
                const others = layout.hidden.filter((hidden) => hidden !== id);
                onLayout({ ...layout, hidden: shown ? others : [...others, id] });
              }}
            >
              <span className="menu-mark">
                <Menu.CheckboxItemIndicator>
                  <Icon name="check" />
                </Menu.CheckboxItemIndicator>
              </span>
              {t(`columns.${id}`)}
            </Menu.CheckboxItem>
          ))}
      </MenuPopup>
    </Menu.Root>
  );
}

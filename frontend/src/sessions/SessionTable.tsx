import {
  columnVisibilityFeature,
  createColumnHelper,
  createSortedRowModel,
  rowSelectionFeature,
  rowSortingFeature,
  sortFn_basic,
  type RowSelectionState,
  type SortingState,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { type CSSProperties, type ReactNode, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Session } from '../api/types.ts';
import { sessionKey } from '../live/fleetStore.ts';
import { Icon } from '../ui/icons.tsx';
import type { RowCallbacks } from './RowActions.tsx';
import type { ColumnId, SessionColumn } from './sessionColumns.tsx';
import { SessionRows } from './SessionRows.tsx';
import { ACTIONS_WIDTH, PICK_WIDTH } from './tableLayout.ts';

const features = tableFeatures({
  columnVisibilityFeature,
  rowSelectionFeature,
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { basic: sortFn_basic },
});
const helper = createColumnHelper<typeof features, Session>();

/** The sorting and the hidden columns of a table. */
export interface TableLayout {
  sorting: SortingState;
  hidden: string[];
}

interface SessionTableProps {
  /** The accessible name of the table. */
  name: string;
  sessions: readonly Session[];
  columns: readonly SessionColumn[];
  layout: TableLayout;
  onLayout: (layout: TableLayout) => void;
  /** The selected rows by session key; without it rows can't be selected. */
  selection?: { selected: RowSelectionState; onSelect: (selected: RowSelectionState) => void };
  /** The actions of each row; without it there are none. */
  actions?: RowCallbacks;
  /** The session whose live view is open, if any. */
  watchedId?: string | null;
}

/**
 * Sessions as a table, on narrow screens as cards. Only visible rows are rendered, so that five thousand
 * sessions scroll as smoothly as five.
 */
export function SessionTable(props: SessionTableProps): ReactNode {
  const { name, sessions, columns, layout, onLayout, selection, actions, watchedId = null } = props;
  const { t } = useTranslation('sessions');

  const definitions = useMemo(
    () =>
      columns.map(({ id, sortBy }) => {
        const value = (session: Session): unknown => sortBy?.(session);
        const enableSorting = sortBy !== undefined;
        return helper.accessor(value, { id, sortFn: 'basic', enableSorting });
      }),
    [columns],
  );
  const visibility = useMemo(
    () => Object.fromEntries(layout.hidden.map((id) => [id, false])),
    [layout.hidden],
  );
  const table = useTable({
    features,
    columns: definitions,
    data: sessions,
    getRowId: sessionKey,
    enableRowSelection: selection !== undefined,
    state: {
      sorting: layout.sorting,
      columnVisibility: visibility,
      rowSelection: selection?.selected ?? {},
    },
    onSortingChange: (update) => {
      const sorting = typeof update === 'function' ? update(layout.sorting) : update;
      onLayout({ ...layout, sorting });
    },
    onRowSelectionChange: (update) => {
      if (!selection) return;
      selection.onSelect(typeof update === 'function' ? update(selection.selected) : update);
    },
  });
  const { rows } = table.getRowModel();
  const shown = useMemo(
    () => columns.filter((column) => column.fixed === true || !layout.hidden.includes(column.id)),
    [columns, layout.hidden],
  );

  const wide = new Set<string>(shown.filter(({ wideOnly }) => wideOnly).map(({ id }) => id));
  const template = (widths: readonly SessionColumn[]) =>
    [
      ...(selection ? [`${PICK_WIDTH}rem`] : []),
      ...widths.map(({ width }) => (width === undefined ? 'minmax(0, 1fr)' : `${width}rem`)),
      ...(actions ? [`${ACTIONS_WIDTH}rem`] : []),
    ].join(' ');
  const templates = {
    '--columns': template(shown),
    '--columns-narrow': template(shown.filter(({ wideOnly }) => !wideOnly)),
  } as CSSProperties;

  return (
    <div className="table-frame card">
      <table
        className="sessions"
        style={templates}
        aria-label={name}
        aria-rowcount={rows.length + 1}
      >
        <thead>
          <tr aria-rowindex={1}>
            {selection && (
              <th scope="col" className="pick">
                <input
                  type="checkbox"
                  aria-label={t('selection.all')}
                  checked={table.getIsAllRowsSelected()}
                  onChange={table.getToggleAllRowsSelectedHandler()}
                />
              </th>
            )}
            {table.getHeaderGroups().map((group) =>
              group.headers.map(({ id, column }) => {
                const title = t(`columns.${column.id as ColumnId}`);
                const sorted = column.getIsSorted();
                return (
                  <th
                    key={id}
                    scope="col"
                    aria-sort={ariaSort(sorted)}
                    className={wide.has(id) ? 'wide-only' : undefined}
                  >
                    {column.getCanSort() ? (
                      <button
                        type="button"
                        className="sort"
                        onClick={column.getToggleSortingHandler()}
                      >
                        {title}
                        <span className={sorted ? `arrow ${sorted}` : 'arrow'}>
                          <Icon name="chevron" />
                        </span>
                      </button>
                    ) : (
                      title
                    )}
                  </th>
                );
              }),
            )}
            {actions && (
              <th scope="col" className="actions">
                {t('columns.actions')}
              </th>
            )}
          </tr>
        </thead>
        <SessionRows
          rows={rows}
          columns={shown}
          watchedId={watchedId}
          {...(selection && { selected: selection.selected })}
          {...(actions && { actions })}
        />
      </table>
    </div>
  );
}

function ariaSort(sorted: false | 'asc' | 'desc'): 'ascending' | 'descending' | 'none' {
  if (sorted === false) return 'none';
  return sorted === 'asc' ? 'ascending' : 'descending';
}

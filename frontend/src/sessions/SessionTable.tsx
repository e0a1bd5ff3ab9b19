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
import { type ReactNode, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { Session } from '../api/types.ts';
import { sessionKey } from '../live/fleetStore.ts';
import { ColumnHead, ListTable } from '../ui/ListTable.tsx';
import type { RowCallbacks } from './RowActions.tsx';
import type { SessionColumn } from './sessionColumns.tsx';
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

  const head = (
    <>
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
      {shown.map(({ id, wideOnly }) => {
        const column = table.getColumn(id);
        return (
          <ColumnHead
            key={id}
            title={t(`columns.${id}`)}
            wideOnly={wideOnly}
            sorted={column?.getIsSorted() ?? false}
            onSort={column?.getCanSort() ? column.getToggleSortingHandler() : undefined}
          />
        );
      })}
      {actions && (
        <th scope="col" className="actions">
          {t('columns.actions')}
        </th>
      )}
    </>
  );

  return (
    <ListTable
      name={name}
      className="sessions"
      count={rows.length}
      columns={[
        ...(selection ? [{ width: PICK_WIDTH }] : []),
        ...shown,
        ...(actions ? [{ width: ACTIONS_WIDTH }] : []),
      ]}
      head={head}
    >
      <SessionRows
        rows={rows}
        columns={shown}
        watchedId={watchedId}
        {...(selection && {
          selected: selection.selected,
          onSelect: (id, event) => {
            table.getRow(id).getToggleSelectedHandler()(event);
          },
        })}
        {...(actions && { actions })}
      />
    </ListTable>
  );
}

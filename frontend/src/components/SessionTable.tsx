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
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Session } from '../api/types.ts';
import { sessionKey } from '../live/fleetStore.ts';
import { shortId } from './format.ts';
import { Icon } from './icons.tsx';
import { RowActions, type RowCallbacks } from './RowActions.tsx';
import type { ColumnId, SessionColumn } from './sessionColumns.tsx';

/** A row's height before it is measured, in pixels. */
const ROW_HEIGHT = 53;
/** How many rows beyond the visible ones are there already when they scroll into view. */
const OVERSCAN = 6;

const features = tableFeatures({
  columnVisibilityFeature,
  rowSelectionFeature,
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { basic: sortFn_basic },
});
const helper = createColumnHelper<typeof features, Session>();

/** How a table is arranged: by which columns its rows are sorted, and which columns are out of sight. */
export interface TableLayout {
  sorting: SortingState;
  hidden: string[];
}

interface SessionTableProps {
  /** What the table shows, for assistive technology. */
  name: string;
  sessions: readonly Session[];
  columns: readonly SessionColumn[];
  layout: TableLayout;
  onLayout: (layout: TableLayout) => void;
  /** The rows that are selected, by the sessions' keys, and how that changes; without, none can be. */
  selection?: { selected: RowSelectionState; onSelect: (selected: RowSelectionState) => void };
  /** What can be done with each session; without, nothing. */
  actions?: RowCallbacks;
  /** The session whose screen is shown, if any. */
  watchedId?: string | null;
}

/**
 * Sessions as a table, on a narrow screen as a card each. Only what is in sight is in the page, so that five thousand
 * of them scroll as smoothly as five.
 */
export function SessionTable(props: SessionTableProps): ReactNode {
  const { name, sessions, columns, layout, onLayout, selection, actions, watchedId = null } = props;
  const { t } = useTranslation('sessions');
  const frame = useRef<HTMLDivElement>(null);
  const [offset, setOffset] = useState(0);

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

  useLayoutEffect(() => {
    // Whatever stands above the table may come and go with its contents.
    const measure = () => {
      const top = frame.current?.getBoundingClientRect().top ?? 0;
      setOffset(Math.round(top + window.scrollY));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => {
      observer.disconnect();
    };
  }, []);

  const virtualizer = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => ROW_HEIGHT,
    getItemKey: (index) => rows[index]?.id ?? index,
    overscan: OVERSCAN,
    scrollMargin: offset,
  });
  const wide = new Set<string>(shown.filter(({ wideOnly }) => wideOnly).map(({ id }) => id));
  const items = virtualizer.getVirtualItems();
  const before = (items[0]?.start ?? offset) - offset;
  const after = virtualizer.getTotalSize() - ((items.at(-1)?.end ?? offset) - offset);
  const span = shown.length + Number(selection !== undefined) + Number(actions !== undefined);

  return (
    <div className="table-frame card" ref={frame}>
      <table className="sessions" aria-label={name} aria-rowcount={rows.length + 1}>
        <colgroup>
          {selection && <col className="pick" />}
          {shown.map(({ id, width, wideOnly }) => (
            <col
              key={id}
              className={wideOnly ? 'wide-only' : undefined}
              style={width === undefined ? undefined : { width: `${width}rem` }}
            />
          ))}
          {actions && <col className="actions" />}
        </colgroup>
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
        <tbody>
          <Spacer height={before} span={span} />
          {items.map(({ index }) => {
            const row = rows[index];
            return (
              row && (
                <SessionRow
                  key={row.id}
                  index={index}
                  session={row.original}
                  columns={shown}
                  selected={row.getIsSelected()}
                  watched={row.original.id === watchedId}
                  {...(selection && { onSelect: row.getToggleSelectedHandler() })}
                  {...(actions && { actions })}
                  measure={virtualizer.measureElement}
                />
              )
            );
          })}
          <Spacer height={after} span={span} />
        </tbody>
      </table>
    </div>
  );
}

function ariaSort(sorted: false | 'asc' | 'desc'): 'ascending' | 'descending' | 'none' {
  if (sorted === false) return 'none';
  return sorted === 'asc' ? 'ascending' : 'descending';
}

/** Stands for the rows that are not in the page. */
function Spacer({ height, span }: { height: number; span: number }): ReactNode {
  if (height <= 0) return null;
  return (
    <tr className="spacer" aria-hidden="true">
      <td colSpan={span} style={{ height }} />
    </tr>
  );
}

interface SessionRowProps {
  index: number;
  session: Session;
  columns: readonly SessionColumn[];
  selected: boolean;
  watched: boolean;
  onSelect?: (event: unknown) => void;
  actions?: RowCallbacks;
  measure: (element: HTMLTableRowElement | null) => void;
}

/** A session that did not change is the same object, and so only rows with news render again. */
const SessionRow = memo(
  function SessionRow(props: SessionRowProps): ReactNode {
    const { index, session, columns, selected, watched, onSelect, actions, measure } = props;
    const { t } = useTranslation('sessions');
    return (
      <tr
        ref={measure}
        data-index={index}
        aria-rowindex={index + 2}
        aria-selected={onSelect ? selected : undefined}
        className={watched ? 'watched' : undefined}
      >
        {onSelect && (
          <td className="pick" data-column="select" data-label={t('columns.select')}>
            <input
              type="checkbox"
              aria-label={t('selection.one', { id: shortId(session.id) })}
              checked={selected}
              onChange={onSelect}
            />
          </td>
        )}
        {columns.map(({ id, cell, wideOnly }) => (
          <td
            key={id}
            data-column={id}
            data-label={t(`columns.${id}`)}
            className={wideOnly ? 'wide-only' : undefined}
          >
            {cell(session)}
          </td>
        ))}
        {actions && (
          <td data-column="actions" data-label={t('columns.actions')}>
            <RowActions session={session} {...actions} />
          </td>
        )}
      </tr>
    );
  },
  // The handlers are new with each rendering of the table, and do the same.
  (before, now) =>
    before.session === now.session &&
    before.index === now.index &&
    before.columns === now.columns &&
    before.selected === now.selected &&
    before.watched === now.watched,
);

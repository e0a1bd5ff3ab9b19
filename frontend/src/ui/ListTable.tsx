import type { CSSProperties, ReactNode } from 'react';

import { Icon } from './icons.tsx';

interface ListTableProps {
  /** The accessible name of the table. */
  name: string;
  className: string;
  /** The number of rows, rendered or not. */
  count: number;
  /** All columns with their widths in rem; those without one share the remaining width. */
  columns: readonly { width?: number; wideOnly?: boolean }[];
  /** The cells of the head. */
  head: ReactNode;
  /** The body, usually `VirtualRows`. */
  children: ReactNode;
}

/** A table with a head, on narrow screens cards. */
export function ListTable(props: ListTableProps): ReactNode {
  const { name, className, count, columns, head, children } = props;
  const template = (shown: typeof columns) =>
    shown.map(({ width }) => (width === undefined ? 'minmax(0, 1fr)' : `${width}rem`)).join(' ');
  const templates = {
    '--columns': template(columns),
    '--columns-narrow': template(columns.filter(({ wideOnly }) => !wideOnly)),
  } as CSSProperties;
  return (
    <div className="table-frame card">
      <table className={className} style={templates} aria-label={name} aria-rowcount={count + 1}>
        <thead>
          <tr aria-rowindex={1}>{head}</tr>
        </thead>
        {children}
      </table>
    </div>
  );
}

const ARIA_SORT = { asc: 'ascending', desc: 'descending' } as const;

interface ColumnHeadProps {
  title: string;
  wideOnly: boolean | undefined;
  /** How the table is sorted by this column, if it is. */
  sorted: keyof typeof ARIA_SORT | false;
  /** Sorts by this column; without it the column can't be sorted. */
  onSort: ((event: unknown) => void) | undefined;
}

/** The head of a column, with a button that sorts by it. */
export function ColumnHead({ title, wideOnly, sorted, onSort }: ColumnHeadProps): ReactNode {
  return (
    <th
      scope="col"
      aria-sort={sorted ? ARIA_SORT[sorted] : 'none'}
      className={wideOnly ? 'wide-only' : undefined}
    >
      {onSort ? (
        <button type="button" className="sort" onClick={onSort}>
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
}

interface ColumnCellsProps<T> {
  columns: readonly { id: string; cell: (item: T) => ReactNode; wideOnly?: boolean }[];
  /** The columns' titles by id. */
  titles: Record<string, string>;
  item: T;
}

/** The cells of an item, one for each column. */
export function ColumnCells<T>({ columns, titles, item }: ColumnCellsProps<T>): ReactNode {
  return columns.map(({ id, cell, wideOnly }) => (
    <td
      key={id}
      data-column={id}
      data-label={titles[id]}
      className={wideOnly ? 'wide-only' : undefined}
    >
      {cell(item)}
    </td>
  ));
}

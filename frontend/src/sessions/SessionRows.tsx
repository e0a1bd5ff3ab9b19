import type { RowSelectionState } from '@tanstack/react-table';
import { memo, type ReactNode, useMemo } from 'react';

import type { Session } from '../api/types.ts';
import { useTexts } from '../i18n/useTexts.ts';
import { ColumnCells } from '../ui/ListTable.tsx';
import { VirtualRows } from '../ui/VirtualRows.tsx';
import { RowActions, type RowCallbacks } from './RowActions.tsx';
import type { SessionColumn } from './sessionColumns.tsx';
import { shortId } from './sessionText.ts';

/** The height of a row, in rem: two lines and padding. */
const ROW_REM = 3.75;
/** The estimated height of a card, in rem. */
const CARD_REM = 20;

/** The part of the table's row that is used here. */
interface TableRow {
  id: string;
  original: Session;
}

interface SessionRowsProps {
  rows: readonly TableRow[];
  columns: readonly SessionColumn[];
  /** The selected rows; without it rows can't be selected. */
  selected?: RowSelectionState;
  /** Called with the id of a row when its checkbox changes. */
  onSelect?: (id: string, event: unknown) => void;
  /** The actions of each row; without it there are none. */
  actions?: RowCallbacks;
  /** The session whose live view is open, if any. */
  watchedId: string | null;
}

/** The rows of a table of sessions. */
export function SessionRows(props: SessionRowsProps): ReactNode {
  const { rows, columns, selected, onSelect, actions, watchedId } = props;
  const t = useTexts('sessions');
  // Translated once for all rows.
  const titles = useMemo(
    () => Object.fromEntries(columns.map(({ id }) => [id, t(`columns.${id}`)])),
    [columns, t],
  );
  return (
    <VirtualRows
      items={rows}
      keyOf={({ id }) => id}
      rowHeight={ROW_REM}
      cardHeight={CARD_REM}
      attributesOf={({ id, original }) => ({
        className: original.id === watchedId ? 'watched' : undefined,
        ...(selected && { 'aria-selected': selected[id] === true }),
      })}
    >
      {({ id, original }) => (
        <SessionCells
          session={original}
          columns={columns}
          titles={titles}
          {...(selected && {
            selected: selected[id] === true,
            onSelect: (event) => onSelect?.(id, event),
          })}
          {...(actions && { actions })}
        />
      )}
    </VirtualRows>
  );
}

interface SessionCellsProps {
  session: Session;
  columns: readonly SessionColumn[];
  /** The columns' titles by id. */
  titles: Record<string, string>;
  /** Whether it is selected; without it the row can't be selected. */
  selected?: boolean;
  onSelect?: (event: unknown) => void;
  actions?: RowCallbacks;
}

/** Memoized: an unchanged session is the same object, so only changed rows re-render. */
const SessionCells = memo(
  function SessionCells(props: SessionCellsProps): ReactNode {
    const { session, columns, titles, selected, onSelect, actions } = props;
    const t = useTexts('sessions');
    return (
      <>
        {selected !== undefined && (
          <td className="pick" data-column="select" data-label={t('columns.select')}>
            <input
              type="checkbox"
              aria-label={t('selection.one', { id: shortId(session.id) })}
              checked={selected}
              onChange={onSelect}
            />
          </td>
        )}
        <ColumnCells columns={columns} titles={titles} item={session} />
        {actions && (
          <td data-column="actions" data-label={t('columns.actions')}>
            <RowActions session={session} {...actions} />
          </td>
        )}
      </>
    );
  },
  // Handlers are ignored: they are new on each render of the table but do the same.
  (before, now) =>
    before.session === now.session &&
    before.columns === now.columns &&
    before.titles === now.titles &&
    before.selected === now.selected,
);

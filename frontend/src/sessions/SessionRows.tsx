import type { RowSelectionState } from '@tanstack/react-table';
import { type Range, useWindowVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useLayoutEffect, useMemo, useRef, useState } from 'react';

import type { Session } from '../api/types.ts';
import { useMediaQuery } from '../ui/useMediaQuery.ts';
import { shortId } from './sessionText.ts';
import { RowActions, type RowCallbacks } from './RowActions.tsx';
import type { SessionColumn } from './sessionColumns.tsx';
import { useTexts } from '../i18n/useTexts.ts';

/** From this width on rows are table rows, below it cards. Keep in sync with `sessions.css`. */
const WIDE = '(min-width: 60.001rem)';
/** The height of a row, in rem: two lines and padding. */
const ROW_REM = 3.75;
/** The estimated height of a card, and the gap between cards, in rem. */
const [CARD_REM, CARD_GAP_REM] = [20, 0.75];
/** How many rows beyond the visible ones are rendered. */
const OVERSCAN = 6;
/**
 * Rows are added and removed in blocks of this size: a change of the page costs about as much for one row as
 * for four.
 */
const BLOCK = 4;

/** The part of the table's row that is used here. */
interface TableRow {
  id: string;
  original: Session;
  getToggleSelectedHandler: () => (event: unknown) => void;
}

/** The indexes of the rows to render, in whole blocks. */
function inBlocks({ startIndex, endIndex, overscan, count }: Range): number[] {
  const first = Math.floor(Math.max(0, startIndex - overscan) / BLOCK) * BLOCK;
  const end = Math.min(count, Math.ceil((endIndex + overscan + 1) / BLOCK) * BLOCK);
  return Array.from({ length: end - first }, (_, index) => first + index);
}

interface SessionRowsProps {
  rows: readonly TableRow[];
  columns: readonly SessionColumn[];
  /** The selected rows; without it rows can't be selected. */
  selected?: RowSelectionState;
  /** The actions of each row; without it there are none. */
  actions?: RowCallbacks;
  /** The session whose live view is open, if any. */
  watchedId: string | null;
}

/**
 * The visible rows and some more. Scrolling renders only this component, and only new rows in it: each row is
 * positioned absolutely with, in a table, a fixed height, so that nothing is measured and no other row is
 * laid out or painted again.
 */
export function SessionRows(props: SessionRowsProps): ReactNode {
  const wide = useMediaQuery(WIDE);
  // Remounted when the layout changes, because measured heights of cards don't apply to rows.
  return <VirtualRows key={String(wide)} wide={wide} {...props} />;
}

function VirtualRows(props: SessionRowsProps & { wide: boolean }): ReactNode {
  const { rows, columns, selected, actions, watchedId, wide } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const [offset, setOffset] = useState(0);
  const [rem] = useState(() => parseFloat(getComputedStyle(document.documentElement).fontSize));
  const height = Math.round((wide ? ROW_REM : CARD_REM) * (rem || 16));
  const t = useTexts('sessions');
  // Translated once for all rows.
  const titles = useMemo(
    () => Object.fromEntries(columns.map(({ id }) => [id, t(`columns.${id}`)])),
    [columns, t],
  );

  useLayoutEffect(() => {
    // Content above the rows may appear and disappear.
    const measure = () => {
      const top = body.current?.getBoundingClientRect().top ?? 0;
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
    estimateSize: () => height,
    getItemKey: (index) => rows[index]?.id ?? index,
    gap: wide ? 0 : Math.round(CARD_GAP_REM * (rem || 16)),
    overscan: OVERSCAN,
    rangeExtractor: inBlocks,
    scrollMargin: offset,
    // Rows are rendered ahead of the viewport, so they may be one frame late.
    useFlushSync: false,
  });

  return (
    <tbody ref={body} style={{ height: virtualizer.getTotalSize() }}>
      {virtualizer.getVirtualItems().map(({ index, start }) => {
        const row = rows[index];
        return (
          row && (
            <SessionRow
              key={row.id}
              index={index}
              top={start - offset}
              session={row.original}
              columns={columns}
              titles={titles}
              watched={row.original.id === watchedId}
              {...(selected && {
                selected: selected[row.id] === true,
                onSelect: row.getToggleSelectedHandler(),
              })}
              {...(actions && { actions })}
              {...(wide ? { height } : { measure: virtualizer.measureElement })}
            />
          )
        );
      })}
    </tbody>
  );
}

interface SessionRowProps {
  index: number;
  /** The offset from the first row, in pixels. */
  top: number;
  /** The height in pixels; without it the row is as high as its content. */
  height?: number;
  /** A ref to the element whose height has to be measured. */
  measure?: (element: HTMLTableRowElement | null) => void;
  session: Session;
  columns: readonly SessionColumn[];
  /** The columns' titles by id. */
  titles: Record<string, string>;
  /** Whether it is selected; without it the row can't be selected. */
  selected?: boolean;
  onSelect?: (event: unknown) => void;
  watched: boolean;
  actions?: RowCallbacks;
}

/** Memoized: an unchanged session is the same object, so only changed rows re-render. */
const SessionRow = memo(
  function SessionRow(props: SessionRowProps): ReactNode {
    const { index, top, height, measure, session, columns, titles } = props;
    const { selected, watched, onSelect, actions } = props;
    const t = useTexts('sessions');
    return (
      <tr
        ref={measure}
        data-index={index}
        style={{ top, height }}
        aria-rowindex={index + 2}
        aria-selected={selected}
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
            data-label={titles[id]}
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
  // Handlers are ignored: they are new on each render of the table but do the same.
  (before, now) =>
    before.session === now.session &&
    before.index === now.index &&
    before.top === now.top &&
    before.height === now.height &&
    before.columns === now.columns &&
    before.titles === now.titles &&
    before.selected === now.selected &&
    before.watched === now.watched,
);

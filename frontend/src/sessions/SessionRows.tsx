import type { RowSelectionState } from '@tanstack/react-table';
import { type Range, useWindowVirtualizer } from '@tanstack/react-virtual';
import { memo, type ReactNode, useLayoutEffect, useMemo, useRef, useState } from 'react';

import type { Session } from '../api/types.ts';
import { useMediaQuery } from '../ui/useMediaQuery.ts';
import { shortId } from './sessionText.ts';
import { RowActions, type RowCallbacks } from './RowActions.tsx';
import type { SessionColumn } from './sessionColumns.tsx';
import { useTexts } from '../i18n/useTexts.ts';

/** Where rows are rows; on narrower windows each is a card. As in `sessions.css`. */
const WIDE = '(min-width: 60.001rem)';
/** The height of a row, in rem: two lines and some air. */
const ROW_REM = 3.75;
/** The height of a card before it is measured, and the space between two, in rem. */
const [CARD_REM, CARD_GAP_REM] = [20, 0.75];
/** How many rows beyond the visible ones are there already when they scroll into view. */
const OVERSCAN = 6;
/** How many rows come and go together: most of what a change of the page costs it costs for one row as for several. */
const BLOCK = 4;

/** What the rows need of the table's own rows: they are the same to its sorting and its selection. */
interface TableRow {
  id: string;
  original: Session;
  getToggleSelectedHandler: () => (event: unknown) => void;
}

/** The rows to have in the page, in whole blocks. */
function inBlocks({ startIndex, endIndex, overscan, count }: Range): number[] {
  const first = Math.floor(Math.max(0, startIndex - overscan) / BLOCK) * BLOCK;
  const end = Math.min(count, Math.ceil((endIndex + overscan + 1) / BLOCK) * BLOCK);
  return Array.from({ length: end - first }, (_, index) => first + index);
}

interface SessionRowsProps {
  rows: readonly TableRow[];
  columns: readonly SessionColumn[];
  /** The rows that are selected; without, none can be. */
  selected?: RowSelectionState;
  /** What can be done with each session; without, nothing. */
  actions?: RowCallbacks;
  /** The session whose screen is shown, if any. */
  watchedId: string | null;
}

/**
 * The rows of a table that are in sight, and some beyond. Scrolling renders this alone, and of the rows only those that
 * are new: each has a place and, in a table, a height of its own, so that nothing has to be measured and no other row is
 * laid out or painted again.
 */
export function SessionRows(props: SessionRowsProps): ReactNode {
  const wide = useMediaQuery(WIDE);
  // Anew where the layout changes: the heights of cards say nothing of those of rows.
  return <VirtualRows key={String(wide)} wide={wide} {...props} />;
}

function VirtualRows(props: SessionRowsProps & { wide: boolean }): ReactNode {
  const { rows, columns, selected, actions, watchedId, wide } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const [offset, setOffset] = useState(0);
  const [rem] = useState(() => parseFloat(getComputedStyle(document.documentElement).fontSize));
  const height = Math.round((wide ? ROW_REM : CARD_REM) * (rem || 16));
  const t = useTexts('sessions');
  // Looked up once for all rows.
  const titles = useMemo(
    () => Object.fromEntries(columns.map(({ id }) => [id, t(`columns.${id}`)])),
    [columns, t],
  );

  useLayoutEffect(() => {
    // Whatever stands above the rows may come and go with what the page shows.
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
    // A row that comes a frame later is still ahead of its being seen.
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
  /** How far it is below the first row, in pixels. */
  top: number;
  /** How high it is, in pixels; without, as high as its contents. */
  height?: number;
  /** Told of the element whose height is its contents'. */
  measure?: (element: HTMLTableRowElement | null) => void;
  session: Session;
  columns: readonly SessionColumn[];
  /** The columns' titles, by their ids. */
  titles: Record<string, string>;
  /** Whether it is selected; without, it can't be. */
  selected?: boolean;
  onSelect?: (event: unknown) => void;
  watched: boolean;
  actions?: RowCallbacks;
}

/** A session that did not change is the same object, and so only rows with news render again. */
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
  // The handlers are new with each rendering of the table, and do the same.
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

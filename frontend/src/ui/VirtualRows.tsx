import { type Range, useWindowVirtualizer } from '@tanstack/react-virtual';
import { type HTMLAttributes, type ReactNode, useLayoutEffect, useRef, useState } from 'react';

import { useMediaQuery } from './useMediaQuery.ts';

/** From this width on rows are table rows, below it cards. Keep in sync with `sessions.css`. */
const WIDE = '(min-width: 60.001rem)';
/** The gap between cards, in rem. */
const CARD_GAP_REM = 0.75;
/** How many rows beyond the visible ones are rendered. */
const OVERSCAN = 6;
/**
 * Rows are added and removed in blocks of this size: a change of the page costs about as much for one row as
 * for four.
 */
const BLOCK = 4;

/** The indexes of the rows to render, in whole blocks. */
function inBlocks({ startIndex, endIndex, overscan, count }: Range): number[] {
  const first = Math.floor(Math.max(0, startIndex - overscan) / BLOCK) * BLOCK;
  const end = Math.min(count, Math.ceil((endIndex + overscan + 1) / BLOCK) * BLOCK);
  return Array.from({ length: end - first }, (_, index) => first + index);
}

interface VirtualRowsProps<T> {
  items: readonly T[];
  /** The unique key of an item. */
  keyOf: (item: T) => string;
  /** The height of a table row, in rem. */
  rowHeight: number;
  /** The estimated height of a card, in rem. */
  cardHeight: number;
  /** Further attributes of an item's row. */
  attributesOf?: (item: T) => HTMLAttributes<HTMLTableRowElement>;
  /** Renders the cells of an item. It is called for every rendered row, so the cells should be memoized. */
  children: (item: T) => ReactNode;
}

/**
 * The body of a table: the visible rows and some more. Scrolling renders only this component and the cells of
 * new rows: each row is positioned absolutely with, in a table, a fixed height, so that nothing is measured and
 * no other row is laid out or painted again.
 */
export function VirtualRows<T>(props: VirtualRowsProps<T>): ReactNode {
  const wide = useMediaQuery(WIDE);
  // Remounted when the layout changes, because measured heights of cards don't apply to rows.
  return <Rows key={String(wide)} wide={wide} {...props} />;
}

function Rows<T>(props: VirtualRowsProps<T> & { wide: boolean }): ReactNode {
  const { items, keyOf, rowHeight, cardHeight, attributesOf, children, wide } = props;
  const body = useRef<HTMLTableSectionElement>(null);
  const [offset, setOffset] = useState(0);
  const [rem] = useState(
    () => parseFloat(getComputedStyle(document.documentElement).fontSize) || 16,
  );
  const height = Math.round((wide ? rowHeight : cardHeight) * rem);

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

  const virtualizer = useWindowVirtualizer<HTMLTableRowElement>({
    count: items.length,
    estimateSize: () => height,
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : keyOf(item);
    },
    gap: wide ? 0 : Math.round(CARD_GAP_REM * rem),
    overscan: OVERSCAN,
    rangeExtractor: inBlocks,
    scrollMargin: offset,
    // Rows are rendered ahead of the viewport, so they may be one frame late.
    useFlushSync: false,
  });

  return (
    <tbody ref={body} style={{ height: virtualizer.getTotalSize() }}>
      {virtualizer.getVirtualItems().map(({ index, start }) => {
        const item = items[index];
        return (
          item !== undefined && (
            <tr
              key={keyOf(item)}
              ref={wide ? undefined : virtualizer.measureElement}
              data-index={index}
              style={{ top: start - offset, height: wide ? height : undefined }}
              aria-rowindex={index + 2}
              {...attributesOf?.(item)}
            >
              {children(item)}
            </tr>
          )
        );
      })}
    </tbody>
  );
}

import { act, fireEvent, render, screen } from '@testing-library/react';
import { memo, type ReactNode } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';

import { VirtualRows } from './VirtualRows.tsx';

const items = Array.from({ length: 1000 }, (_, index) => `item ${index}`);
/** The items whose cells were rendered, in this order. */
let rendered: string[] = [];

const Cells = memo(function Cells({ item }: { item: string }): ReactNode {
  rendered.push(item);
  return <td>{item}</td>;
});

function Table({ shown = items }: { shown?: string[] }) {
  return (
    <table>
      <VirtualRows
        items={shown}
        keyOf={(item) => item}
        rowHeight={4}
        cardHeight={20}
        attributesOf={(item) => ({ 'aria-selected': item === 'item 1' })}
      >
        {(item) => <Cells item={item} />}
      </VirtualRows>
    </table>
  );
}

const indexes = () => screen.getAllByRole('row').map((row) => Number(row.dataset.index));

function scrollTo(y: number) {
  vi.stubGlobal('scrollY', y);
  fireEvent.scroll(window);
}

beforeEach(() => {
  rendered = [];
  vi.stubGlobal('innerHeight', 640);
});

it('renders only the rows near the visible ones, at their places', () => {
  render(<Table />);
  const rows = screen.getAllByRole('row');
  expect(rows.length).toBeGreaterThanOrEqual(10);
  expect(rows.length).toBeLessThan(30);
  expect(rows[2]).toHaveStyle({ top: '128px', height: '64px' });
  expect(rows[2]).toHaveAttribute('aria-rowindex', '4');
  expect(screen.getByRole('row', { selected: true })).toHaveTextContent('item 1');
  expect(screen.getByRole('rowgroup')).toHaveStyle({ height: '64000px' });
});

it('adds and removes rows in blocks, and renders only the cells of new ones', () => {
  render(<Table />);
  const before = indexes();
  scrollTo(64 * 100);
  const after = indexes();
  expect(after[0]).toBeGreaterThan(80);
  expect([after[0], after.length].map((number = NaN) => number % 4)).toEqual([0, 0]);
  expect(rendered).toHaveLength(before.length + after.length);
  scrollTo(64 * 104);
  const [last = NaN] = indexes().slice(-1);
  expect(rendered.slice(before.length + after.length)).toEqual(items.slice(last - 3, last + 1));
});

it('renders no cells again when rows move', () => {
  const { rerender } = render(<Table />);
  rendered = [];
  rerender(<Table shown={items.toReversed().slice(-8)} />);
  expect(indexes()).toHaveLength(8);
  expect(screen.getByRole('row', { name: 'item 0' })).toHaveStyle({ top: '448px' });
  expect(rendered).toEqual([]);
});

it('measures cards on narrow windows, puts gaps between them, and changes with the window', () => {
  const wide = Object.assign(new EventTarget(), { matches: false });
  vi.stubGlobal('matchMedia', () => wide);
  vi.spyOn(HTMLElement.prototype, 'offsetHeight', 'get').mockReturnValue(300);
  render(<Table />);
  const card = screen.getByRole('row', { name: 'item 1' });
  expect(card).toHaveStyle({ top: '312px' });
  expect(card.style.height).toBe('');
  wide.matches = true;
  act(() => {
    wide.dispatchEvent(new Event('change'));
  });
  expect(card).not.toBeInTheDocument();
  expect(screen.getByRole('row', { name: 'item 1' })).toHaveStyle({ top: '64px', height: '64px' });
});

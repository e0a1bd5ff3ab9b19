import { render, screen } from '@testing-library/react';
import { userEvent } from '@testing-library/user-event';
import { expect, it, vi } from 'vitest';

import '../i18n/i18n.ts';
import { EmptyList } from './EmptyList.tsx';

const noMatch = { title: 'No match', text: 'There are others.', clear: 'Clear' };

function show(waiting: boolean, hidden: number) {
  const onClear = vi.fn();
  render(
    <EmptyList waiting={waiting} hidden={hidden} noMatch={noMatch} onClear={onClear}>
      <h3>Nothing yet</h3>
    </EmptyList>,
  );
  return onClear;
}

it('an empty list waits for its items', () => {
  show(true, 0);
  expect(screen.getByText('Loading…')).toBeInTheDocument();
  expect(screen.queryByRole('heading')).not.toBeInTheDocument();
});

it('an empty list offers to clear a filter that excludes everything', async () => {
  const onClear = show(false, 2);
  expect(screen.getByRole('heading', { name: 'No match' })).toBeInTheDocument();
  await userEvent.click(screen.getByRole('button', { name: 'Clear' }));
  expect(onClear).toHaveBeenCalledOnce();
});

it('an empty list without a filter says that there is nothing', () => {
  show(false, 0);
  expect(screen.getByRole('heading', { name: 'Nothing yet' })).toBeInTheDocument();
  expect(screen.queryByRole('button')).not.toBeInTheDocument();
});

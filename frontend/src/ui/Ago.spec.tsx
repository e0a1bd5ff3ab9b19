import { act, render, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { Ago } from './Ago.tsx';

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2024-05-01T12:00:00Z') });
});

afterEach(() => {
  vi.useRealTimers();
});

function pass(seconds: number) {
  act(() => {
    vi.advanceTimersByTime(seconds * 1000);
  });
}

it('“ago” is kept up to date', () => {
  render(<Ago timestamp="2024-05-01T11:59:50Z" />);
  expect(screen.getByText('10s ago')).toBeInTheDocument();
  pass(50);
  expect(screen.getByText('1m ago')).toBeInTheDocument();
});

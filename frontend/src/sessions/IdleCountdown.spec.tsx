import { act, render, screen } from '@testing-library/react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { noteServerDate } from '../lib/serverClock.ts';
import { aSession } from '../test/server.ts';
import { IdleCountdown } from './IdleCountdown.tsx';

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2024-05-01T12:00:00Z') });
});

afterEach(() => {
  noteServerDate(new Date().toUTCString());
  vi.useRealTimers();
});

function pass(seconds: number) {
  act(() => {
    vi.advanceTimersByTime(seconds * 1000);
  });
}

it('counts the idle TTL down second by second, and stops at zero', () => {
  const session = aSession({ last_seen_at: '2024-05-01T11:59:30Z', idle_ttl_seconds: 60 });
  render(<IdleCountdown session={session} />);
  const timer = screen.getByRole('timer', { name: 'Idle TTL left' });
  expect(timer).toHaveTextContent('0:30');
  pass(1);
  expect(timer).toHaveTextContent('0:29');
  pass(29);
  expect(timer).toHaveTextContent('0:00');
  pass(10);
  expect(timer).toHaveTextContent('0:00');
});

it('shows days of a long idle TTL, and none of a session that never ends by itself', () => {
  const last_seen_at = '2024-05-01T12:00:00Z';
  const month = aSession({ last_seen_at, idle_ttl_seconds: 2_592_000 });
  const { rerender } = render(<IdleCountdown session={month} />);
  expect(screen.getByRole('timer')).toHaveTextContent('30d');
  rerender(<IdleCountdown session={aSession({ idle_ttl_seconds: 0 })} />);
  expect(screen.getByText('never')).toBeInTheDocument();
  expect(screen.queryByRole('timer')).not.toBeInTheDocument();
});

it('restarts when the session was used', () => {
  const { rerender } = render(
    <IdleCountdown session={aSession({ last_seen_at: '2024-05-01T11:56:00Z' })} />,
  );
  expect(screen.getByRole('timer')).toHaveTextContent('1:00');
  rerender(<IdleCountdown session={aSession({ last_seen_at: '2024-05-01T12:00:00Z' })} />);
  expect(screen.getByRole('timer')).toHaveTextContent('5:00');
});

it('uses the server’s clock when this machine’s is off', () => {
  noteServerDate('Wed, 01 May 2024 12:10:00 GMT');
  render(<IdleCountdown session={aSession({ last_seen_at: '2024-05-01T12:09:00Z' })} />);
  expect(screen.getByRole('timer')).toHaveTextContent('4:00');
});

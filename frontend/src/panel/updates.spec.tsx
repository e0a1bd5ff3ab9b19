import { act, screen, waitFor } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { POLL_INTERVAL_MS } from '../live/feed.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { aSession, healthyWorker, refusal, serveFleet, server } from '../test/server.ts';

const first = aSession({ id: 'aaaaaaaa-1' });
const second = aSession({ id: 'bbbbbbbb-2' });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
});

afterEach(() => {
  vi.useRealTimers();
});

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

describe('with the event stream', () => {
  it('shows changes without requests', async () => {
    const fleet = serveFleet(first);
    renderPanel();
    await screen.findByText('aaaaaaaa');
    expect(screen.getByText('Live')).toBeInTheDocument();
    fleet.emitChange('created', { ...second, status: 'INIT' });
    expect(await screen.findByText('INIT', { selector: '.badge' })).toBeInTheDocument();
    fleet.emitChange('ready', second);
    await waitFor(() => {
      expect(screen.queryByText('INIT', { selector: '.badge' })).not.toBeInTheDocument();
    });
    fleet.emitChange('ended', { ...first, status: 'DEAD' });
    await waitFor(() => {
      expect(screen.queryByText('aaaaaaaa')).not.toBeInTheDocument();
    });
    expect(fleet.polls).toBe(0);
  });

  it('marks the sessions of a worker that becomes silent', async () => {
    const fleet = serveFleet(first);
    renderPanel();
    await screen.findByText('aaaaaaaa');
    fleet.send('worker', { ...healthyWorker, healthy: false, stale: true });
    expect(await screen.findByText('stale')).toBeInTheDocument();
    expect(screen.getByText('Fleet degraded', { exact: false })).toBeInTheDocument();
    fleet.send('worker', { ...healthyWorker, stale: false });
    await waitFor(() => {
      expect(screen.queryByText('stale')).not.toBeInTheDocument();
    });
  });

  it('restarts a countdown when the session is used', async () => {
    const idle = { ...first, last_seen_at: new Date(Date.now() - 200_000).toISOString() };
    const fleet = serveFleet(idle);
    renderPanel();
    const timer = await screen.findByRole('timer');
    expect(timer).toHaveTextContent(/^1:[34]/);
    fleet.send('activity', { [idle.id]: new Date().toISOString() });
    await waitFor(() => {
      expect(timer).toHaveTextContent(/^(5:00|4:5)/);
    });
  });
});

describe('without the event stream', () => {
  it('polls the lists until the stream is back, and says so', async () => {
    const fleet = serveFleet(first);
    renderPanel();
    await screen.findByText('aaaaaaaa');
    fleet.cut();
    expect(await screen.findByText('Polling')).toBeInTheDocument();
    fleet.sessions = [second];
    await pass(POLL_INTERVAL_MS);
    expect(await screen.findByText('bbbbbbbb')).toBeInTheDocument();
    fleet.restore();
    await pass(10_000);
    expect(await screen.findByText('Live')).toBeInTheDocument();
    const { polls } = fleet;
    await pass(3 * POLL_INTERVAL_MS);
    expect(fleet.polls).toBe(polls);
  });

  it.each([
    ['there is no connection', () => HttpResponse.error()],
    ['a proxy answers for the API', () => HttpResponse.html('<h1>502</h1>', { status: 502 })],
  ])('says that it is offline while %s, keeps the list, and recovers', async (_case, failure) => {
    const fleet = serveFleet(first);
    renderPanel();
    await screen.findByText('aaaaaaaa');
    server.use(http.get('*/api/*', failure));
    fleet.cut();
    expect(await screen.findByText(/^Offline since/)).toHaveTextContent('last known state');
    expect(screen.getByText('aaaaaaaa')).toBeInTheDocument();
    serveFleet(second);
    await pass(10_000);
    expect(await screen.findByText('bbbbbbbb')).toBeInTheDocument();
    expect(screen.queryByText(/^Offline since/)).not.toBeInTheDocument();
  });

  it('shows why the API refuses requests, and recovers', async () => {
    const reason = 'this server is not known as "other.example"';
    server.use(http.get('*/api/*', () => refusal(421, 'unknown_host', reason)));
    renderPanel();
    expect(await screen.findByText(`The API refuses this page: ${reason}`)).toBeInTheDocument();
    serveFleet(second);
    await pass(10_000);
    expect(await screen.findByText('bbbbbbbb')).toBeInTheDocument();
    expect(screen.queryByText(/refuses this page/)).not.toBeInTheDocument();
  });
});

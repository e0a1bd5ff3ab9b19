import { act, cleanup, screen, waitFor, within } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { DEFAULT_LIVE_LAYOUT, liveLayout } from '../sessions/tableLayout.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { aSession, refusal, serveFleet, server } from '../test/server.ts';

const NOW = Date.parse('2024-05-01T12:00:00Z');

function secondsAgo(seconds: number): string {
  return new Date(NOW - seconds * 1000).toISOString();
}

const watchable = aSession({
  last_seen_at: secondsAgo(0),
  id: 'aaaaaaaa-0000-4000-8000-000000000001',
  labels: { team: 'qa' },
  attached: 2,
  restarts: 1,
  vnc_enabled: true,
  vnc: { ws: '/websockify?token=6900', http: '/vnc/6900', password_protected: false },
});
const headless = aSession({
  last_seen_at: secondsAgo(0),
  id: 'bbbbbbbb-0000-4000-8000-000000000002',
  headless: true,
  browser: 'firefox',
  worker: 'eu',
});

function row(shortId: string): Promise<HTMLElement> {
  return screen.findByRole('row', { name: new RegExp(shortId) });
}

beforeEach(() => {
  // A fixed time, so that no countdown depends on how fast the test runs.
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('the list', () => {
  it('shows the properties of each session', async () => {
    liveLayout.set({ ...DEFAULT_LIVE_LAYOUT, hidden: [] });
    serveFleet(watchable, headless);
    renderPanel();
    const first = within(await row('aaaaaaaa'));
    expect(first.getByText('READY')).toBeInTheDocument();
    expect(first.getByText('team=qa')).toBeInTheDocument();
    expect(first.getByRole('timer')).toHaveTextContent('5:00');
    expect(first.getAllByRole('cell').map((cell) => cell.textContent)).toEqual(
      expect.arrayContaining(['2', '1']),
    );
    expect(first.getByRole('button', { name: 'Live view of aaaaaaaa' })).toBeEnabled();
    const second = within(await row('bbbbbbbb'));
    expect(second.getByText('eu')).toBeInTheDocument();
    expect(second.getByText('headless')).toBeInTheDocument();
    expect(second.getByRole('button', { name: /without a live view/ })).toBeDisabled();
  });

  it('explains how to launch a session when it is empty', async () => {
    const user = renderPanel();
    expect(await screen.findByText('No session is running')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Launch the first session' }));
    expect(await screen.findByRole('dialog', { name: 'Launch a session' })).toBeInTheDocument();
  });

  it('copies the id and the absolute WebSocket URL', async () => {
    serveFleet(headless);
    const user = renderPanel();
    await user.click(await screen.findByRole('button', { name: 'Copy id of bbbbbbbb' }));
    expect(await navigator.clipboard.readText()).toBe(headless.id);
    await user.click(screen.getByRole('button', { name: 'Copy WebSocket URL of bbbbbbbb' }));
    expect(await navigator.clipboard.readText()).toBe(
      `ws://${window.location.host}${headless.ws_endpoint}`,
    );
    expect(screen.getByText('WebSocket URL of bbbbbbbb copied.')).toBeInTheDocument();
  });
});

describe('touch', () => {
  it('restarts the countdown at once', async () => {
    const idle = { ...headless, last_seen_at: secondsAgo(200) };
    serveFleet(idle);
    server.use(
      http.post(`*/api/sessions/eu/${headless.id}/touch`, () =>
        HttpResponse.json({ ...idle, last_seen_at: secondsAgo(0) }),
      ),
    );
    const user = renderPanel();
    const timer = within(await row('bbbbbbbb')).getByRole('timer');
    expect(timer).toHaveTextContent('1:40');
    await user.click(screen.getByRole('button', { name: 'Touch bbbbbbbb' }));
    await waitFor(() => {
      expect(timer).toHaveTextContent('5:00');
    });
  });

  it('shows the error when it fails', async () => {
    serveFleet(headless);
    server.use(
      http.post('*/api/sessions/eu/:id/touch', () => refusal(404, 'x', 'Session not found')),
    );
    const user = renderPanel();
    await user.click(await screen.findByRole('button', { name: 'Touch bbbbbbbb' }));
    expect(await screen.findByRole('alert')).toHaveTextContent('Session not found');
    await user.click(screen.getByRole('button', { name: 'Dismiss' }));
    expect(screen.queryByRole('alert')).not.toBeInTheDocument();
  });
});

describe('end', () => {
  it('asks for confirmation, and does nothing when it is cancelled', async () => {
    serveFleet(watchable);
    const user = renderPanel();
    await user.click(await screen.findByRole('button', { name: 'End aaaaaaaa' }));
    const dialog = screen.getByRole('dialog', { name: 'End session aaaaaaaa?' });
    expect(dialog).toHaveTextContent('2 clients are attached');
    await user.click(within(dialog).getByRole('button', { name: 'Cancel' }));
    expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
    expect(within(await row('aaaaaaaa')).getByText('READY')).toBeInTheDocument();
  });

  it('removes the session from the list', async () => {
    serveFleet(watchable, headless);
    server.use(
      http.delete(`*/api/sessions/local/${watchable.id}`, () => {
        return HttpResponse.json({ id: watchable.id, status: 'DEAD' });
      }),
    );
    const user = renderPanel();
    await user.click(await screen.findByRole('button', { name: 'End aaaaaaaa' }));
    await user.click(screen.getByRole('button', { name: 'End session' }));
    await waitFor(() => {
      expect(screen.queryByText('aaaaaaaa')).not.toBeInTheDocument();
    });
    expect(screen.getByText('bbbbbbbb')).toBeInTheDocument();
  });

  it('shows TERMINATING at once and rolls it back when the API refuses', async () => {
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    serveFleet(headless);
    server.use(
      http.delete('*/api/sessions/eu/:id', async () => {
        await answered;
        return refusal(504, 'upstream_timeout', 'Worker eu did not answer in time');
      }),
    );
    const user = renderPanel();
    await user.click(await screen.findByRole('button', { name: 'End bbbbbbbb' }));
    await user.click(screen.getByRole('button', { name: 'End session' }));
    expect(await screen.findByText('TERMINATING', { selector: '.badge' })).toBeInTheDocument();
    answer();
    expect(await screen.findByText('READY', { selector: '.badge' })).toBeInTheDocument();
    expect(await screen.findByRole('alert')).toHaveTextContent('Worker eu did not answer in time');
  });
});

describe('ended sessions', () => {
  it('are listed on request, with reason and detail', async () => {
    const ended_at = secondsAgo(60);
    const fleet = serveFleet(headless);
    fleet.ended = [
      aSession({
        id: 'cccccccc-1',
        status: 'DEAD',
        ended_at,
        end_reason: 'crashed',
        end_detail: 'signal SIGSEGV',
      }),
      aSession({ id: 'dddddddd-2', status: 'DEAD', ended_at, end_reason: 'expired' }),
    ];
    const user = renderPanel();
    const toggle = await screen.findByRole('switch', { name: 'Show ended' });
    expect(screen.queryByText('cccccccc')).not.toBeInTheDocument();
    await user.click(toggle);
    const crashed = await row('cccccccc');
    expect(crashed).toHaveTextContent('Browser crashed');
    expect(crashed).toHaveTextContent('signal SIGSEGV');
    expect(await row('dddddddd')).toHaveTextContent('Idle TTL passed');
    await user.click(toggle);
    expect(screen.queryByText('cccccccc')).not.toBeInTheDocument();
  });

  it('are explained when there are none', async () => {
    const user = renderPanel();
    await user.click(await screen.findByRole('switch', { name: 'Show ended' }));
    expect(await screen.findByText('Nothing has ended yet')).toBeInTheDocument();
  });
});

describe('filters and sorting', () => {
  it('filter the list by words, state, worker and label, and can be cleared', async () => {
    serveFleet(watchable, headless, aSession({ id: 'eeeeeeee-5', status: 'INIT', worker: 'eu' }));
    const user = renderPanel();
    await row('aaaaaaaa');
    const shown = () =>
      screen.getAllByRole('row').flatMap((one) => /(.)\1{7}/.exec(one.textContent)?.[0] ?? []);
    const search = screen.getByRole('searchbox', { name: 'Search sessions' });
    await user.type(search, 'firefox eu');
    await waitFor(() => {
      expect(shown()).toEqual(['bbbbbbbb']);
    });
    await user.clear(search);
    await user.selectOptions(screen.getByRole('combobox', { name: 'Worker' }), 'eu');
    await waitFor(() => {
      expect(shown().sort()).toEqual(['bbbbbbbb', 'eeeeeeee']);
    });
    await user.selectOptions(screen.getByRole('combobox', { name: 'State' }), 'INIT');
    await waitFor(() => {
      expect(shown()).toEqual(['eeeeeeee']);
    });
    await user.selectOptions(screen.getByRole('combobox', { name: 'Label' }), 'team=qa');
    expect(await screen.findByText('No session matches')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Clear the filters' }));
    await waitFor(() => {
      expect(shown()).toHaveLength(3);
    });
  });

  it('sort by the clicked column, and are remembered with the chosen columns', async () => {
    serveFleet(watchable, headless);
    const user = renderPanel();
    await row('aaaaaaaa');
    const order = () =>
      screen
        .getAllByRole('row')
        .flatMap((one) => /aaaaaaaa|bbbbbbbb/.exec(one.textContent)?.[0] ?? []);
    await user.click(screen.getByRole('button', { name: 'Worker' }));
    expect(screen.getByRole('columnheader', { name: 'Worker' })).toHaveAttribute(
      'aria-sort',
      'ascending',
    );
    expect(order()).toEqual(['bbbbbbbb', 'aaaaaaaa']);
    await user.click(screen.getByRole('button', { name: 'Columns' }));
    await user.click(await screen.findByRole('menuitemcheckbox', { name: 'Labels' }));
    expect(screen.queryByRole('columnheader', { name: 'Labels' })).not.toBeInTheDocument();

    cleanup();
    renderPanel();
    await row('aaaaaaaa');
    expect(order()).toEqual(['bbbbbbbb', 'aaaaaaaa']);
    expect(screen.queryByRole('columnheader', { name: 'Labels' })).not.toBeInTheDocument();
  });

  it('are chosen in a menu that stays open for several, and closes by Escape and by a click elsewhere', async () => {
    serveFleet(watchable);
    const user = renderPanel();
    await row('aaaaaaaa');
    const button = screen.getByRole('button', { name: 'Columns' });
    const isClosed = () =>
      waitFor(() => {
        expect(screen.queryByRole('menu')).not.toBeInTheDocument();
      });
    await user.click(button);
    for (const name of ['Labels', 'Worker']) {
      await user.click(await screen.findByRole('menuitemcheckbox', { name, checked: true }));
      await screen.findByRole('menuitemcheckbox', { name, checked: false });
    }
    await user.keyboard('{Escape}');
    await isClosed();
    expect(button).toHaveFocus();
    await user.click(button);
    await screen.findByRole('menu');
    await user.click(document.body);
    await isClosed();
  });
});

describe('several sessions', () => {
  it('are selected and ended together, with a notice for each refusal', async () => {
    const fleet = serveFleet(watchable, headless);
    server.use(
      http.delete(`*/api/sessions/local/${watchable.id}`, () => {
        fleet.emitChange('ended', { ...watchable, status: 'DEAD' });
        return HttpResponse.json({ id: watchable.id, status: 'DEAD' });
      }),
      http.delete('*/api/sessions/eu/:id', () =>
        refusal(504, 'upstream_timeout', 'Worker eu did not answer in time'),
      ),
    );
    const user = renderPanel();
    await row('aaaaaaaa');
    await user.click(screen.getByRole('checkbox', { name: 'Select all' }));
    expect(screen.getByText('2 selected')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'End selected' }));
    const dialog = screen.getByRole('dialog', { name: 'End 2 sessions?' });
    expect(dialog).toHaveTextContent('2 clients are attached');
    await user.click(within(dialog).getByRole('button', { name: 'End 2 sessions' }));
    expect(await screen.findByRole('alert')).toHaveTextContent('Worker eu did not answer in time');
    await waitFor(() => {
      expect(screen.queryByText('aaaaaaaa')).not.toBeInTheDocument();
    });
    expect(within(await row('bbbbbbbb')).getByText('READY')).toBeInTheDocument();
    expect(screen.queryByText('2 selected')).not.toBeInTheDocument();
  });

  it('are selected as a range with Shift, also after one of them has changed', async () => {
    const newest = { ...watchable, created_at: secondsAgo(10) };
    const middle = { ...headless, created_at: secondsAgo(20) };
    const oldest = aSession({ id: 'cccccccc-3', created_at: secondsAgo(30) });
    const fleet = serveFleet(newest, middle, oldest);
    const user = renderPanel();
    await row('aaaaaaaa');
    fleet.emitChange('restarting', { ...middle, status: 'INIT' });
    expect(await screen.findByText('INIT', { selector: '.badge' })).toBeInTheDocument();
    await user.click(screen.getByRole('checkbox', { name: 'Select aaaaaaaa' }));
    await user.keyboard('{Shift>}');
    await user.click(screen.getByRole('checkbox', { name: 'Select cccccccc' }));
    await user.keyboard('{/Shift}');
    expect(screen.getByText('3 selected')).toBeInTheDocument();
  });
});

describe('exits', () => {
  const own = { server: 'socks5://a.test:1080', pool: null };
  const counted = (bytes: number) => ({
    bytes_up: 500,
    bytes_down: bytes - 500,
    connections: 1,
    open_connections: 0,
    refused: {},
  });
  const proxied = { ...watchable, proxy: own, egress: counted(2_000_000) };
  const direct = { ...headless, egress: counted(9000) };
  const unknown = aSession({ id: 'cccccccc-0', last_seen_at: secondsAgo(0), egress: null });

  it('are listed with the traffic, sorted by it, and can be filtered by', async () => {
    serveFleet(proxied, direct, unknown);
    const user = renderPanel();
    const first = within(await row('aaaaaaaa'));
    expect(first.getByTitle('socks5://a.test:1080')).toHaveTextContent('a.test:1080');
    expect(first.getByTitle('Received 2 MB, sent 500 byte')).toHaveTextContent('2 MB');
    expect(within(await row('bbbbbbbb')).getByText('Direct')).toBeInTheDocument();
    expect(within(await row('cccccccc')).queryByText('Direct')).not.toBeInTheDocument();

    await user.click(screen.getByRole('button', { name: 'Exit' }));
    const ids = () =>
      screen.getAllByRole('link', { name: /^[a-c]{8}$/ }).map((link) => link.textContent);
    expect(ids()).toEqual(['aaaaaaaa', 'bbbbbbbb', 'cccccccc']);

    await user.selectOptions(screen.getByRole('combobox', { name: 'Exit' }), 'Direct');
    await waitFor(() => {
      expect(ids()).toEqual(['bbbbbbbb']);
    });
  });

  it('offer no filter where there is one only', async () => {
    serveFleet(direct);
    renderPanel();
    await row('bbbbbbbb');
    expect(screen.queryByRole('combobox', { name: 'Exit' })).not.toBeInTheDocument();
  });

  it('show the traffic as it grows, while they are shown', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    const fleet = serveFleet(direct);
    const user = renderPanel({ user: { advanceTimers: vi.advanceTimersByTime.bind(vi) } });
    await row('bbbbbbbb');
    fleet.sessions = [{ ...direct, egress: counted(12_000), attached: 7 }];
    await act(() => vi.advanceTimersByTimeAsync(5000));
    expect(await screen.findByText('12 kB')).toBeInTheDocument();

    await user.click(screen.getByRole('button', { name: 'Columns' }));
    await user.click(await screen.findByRole('menuitemcheckbox', { name: 'Exit' }));
    let reads = 0;
    server.use(
      http.get('*/api/sessions', () => {
        reads += 1;
        return HttpResponse.json(fleet.sessions);
      }),
    );
    await act(() => vi.advanceTimersByTimeAsync(20_000));
    expect(reads).toBe(0);
  });
});

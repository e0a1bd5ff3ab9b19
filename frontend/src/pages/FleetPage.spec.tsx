import { screen, within } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import type { FleetHistory } from '../api/types.ts';
import { aHistory, aSample } from '../test/fleetHistory.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { refusal, server } from '../test/server.ts';

// jsdom has no canvas; the end-to-end tests look at the drawn charts.
vi.mock('uplot', () => ({
  default: class {
    setData = () => undefined;
    setSize = () => undefined;
    destroy = () => undefined;
  },
}));

/** Serves a history; returns the `after` of each request. */
function serveHistory(history: FleetHistory): (string | null)[] {
  const asked: (string | null)[] = [];
  server.use(
    http.get('*/api/fleet/history', ({ request }) => {
      const after = new URL(request.url).searchParams.get('after');
      asked.push(after);
      const samples = history.samples.filter(({ at }) => after === null || at > after);
      return HttpResponse.json({ ...history, samples });
    }),
  );
  return asked;
}

async function chart(name: string) {
  return within(await screen.findByRole('region', { name }));
}

beforeEach(() => {
  // jsdom has no matchMedia.
  vi.stubGlobal('matchMedia', () => new EventTarget());
});

describe('the fleet page', () => {
  it('shows each chart with its figures as text', async () => {
    serveHistory(
      aHistory(
        { creates: { ok: [2, 0, 0], failed: 1 } },
        { sessions: { init: 1, ready: 3, terminating: 0 }, attached: 2, ends: { expired: 4 } },
      ),
    );
    renderPanel({ path: '/fleet' });
    const sessions = await chart('Sessions');
    expect(
      sessions.getByRole('img', { name: 'Sessions: Ready 3, Starting 1, Ending 0' }),
    ).toBeInTheDocument();
    expect((await chart('Time to launch')).getByText('95 ms')).toBeInTheDocument();
    expect(screen.getByText('1 launch failed in the time shown.')).toBeInTheDocument();
    expect((await chart('Clients and viewers')).getByText('2')).toBeInTheDocument();
    const endings = await chart('Ended sessions');
    expect(endings.getByRole('img', { name: 'Ended sessions: Idle TTL passed 4' })).toBeVisible();
    expect(document.title).toBe('Fleet · camofleet');
  });

  it('explains a chart without data', async () => {
    serveHistory(aHistory({ viewers: null }));
    renderPanel({ path: '/fleet' });
    expect((await chart('Warm browsers')).getByText(/RUNNER_PREWARM_HEADLESS/)).toBeInTheDocument();
    expect((await chart('Restarts')).getByText(/No browser was restarted/)).toBeInTheDocument();
    expect(screen.getByText(/served by a separate gateway/)).toBeInTheDocument();
  });

  it('has all figures in a table', async () => {
    serveHistory(aHistory({}, { attached: 2 }, { attached: 1 }));
    const user = renderPanel({ path: '/fleet' });
    await user.click(await screen.findByText('All figures as a table'));
    const row = screen.getByRole('row', { name: /Clients and viewers Clients/ });
    const cells = within(row).getAllByRole('cell');
    expect(cells.map((cell) => cell.textContent)).toEqual(['Clients', '1', '0', '2', '–']);
  });

  it('remembers the chosen range', async () => {
    serveHistory(aHistory({ ends: { deleted: 5 } }, ...Array.from({ length: 100 }, () => ({}))));
    const user = renderPanel({ path: '/fleet' });
    expect((await chart('Ended sessions')).getByText('By request')).toBeInTheDocument();
    await user.click(screen.getByRole('radio', { name: '5 min' }));
    expect(await screen.findByText('No session ended in this time.')).toBeInTheDocument();
    expect(localStorage.getItem('camofleet.fleet-range')).toBe('"5"');
    await user.click(screen.getByRole('radio', { name: '30 min' }));
  });

  it('requests newer samples only', async () => {
    const history = aHistory({});
    const asked = serveHistory(history);
    renderPanel({ path: '/fleet' });
    const clients = await chart('Clients and viewers');
    history.samples.push(aSample(1, { attached: 7 }));
    expect(await clients.findByText('7')).toBeInTheDocument();
    expect(asked.slice(0, 2)).toEqual([null, aSample(0).at]);
  });

  it('shows the error when there are no figures', async () => {
    server.use(
      http.get('*/api/fleet/history', () => refusal(404, 'not_found', 'There is no such route')),
    );
    renderPanel({ path: '/fleet' });
    expect(await screen.findByText('There is no such route')).toBeInTheDocument();
  });
});

import { screen, waitFor, within } from '@testing-library/react';
import { userEvent } from '@testing-library/user-event';
import { http, HttpResponse } from 'msw';
import { describe, expect, it } from 'vitest';

import type { WorkerStatus } from '../api/types.ts';
import { language } from '../i18n/language.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { aSession, healthyWorker, refusal, serveFleet, server } from '../test/server.ts';

const east: WorkerStatus = {
  ...healthyWorker,
  name: 'east',
  url: 'http://10.0.0.2:8080',
  sessions: 3,
  last_contact: new Date().toISOString(),
  detail: {
    status: 'ok',
    version: '0.1.0',
    insecure: null,
    checks: { engine: 'firefox 153.0 (/usr/bin/firefox)', pool_headless: '1 of 2 ready' },
    failing: [],
    facts: {
      sessions: 3,
      capacity: 10,
      defaults: {
        idle_ttl_seconds: 300,
        headless: true,
        start_url: 'https://example.com',
        start_url_wait: 'load',
      },
      engine: { name: 'firefox', version: '153.0' },
      playwright: '1.60.0',
      node: '22.1.0',
      pools: {
        headless: { ready: 1, launching: 1, target: 2, headless: true, last_error: null },
        mobile: { ready: 3, launching: 0, target: 3, headless: true, last_error: null },
      },
      identity: ['locale', 'timezone'],
      machines: { library: '0.5.8', python: '3.11.2', addons: ['ublock'] },
      profiles: null,
      slots: { used: 2, total: 40 },
      drivers: 1,
      egress: {
        policy: 'public',
        proxies: ['eu', 'us'],
        default_proxy: { server: null, pool: 'eu' },
        block_lists: ['ads', 'phone_home'],
        default_block: ['phone_home'],
        checks_proxies: false,
        city_database: null,
      },
      draining: false,
      started_at: new Date(Date.now() - 3 * 3_600_000 - 20_000).toISOString(),
      host_name: 'worker-0',
    },
  },
};

const silent: WorkerStatus = {
  ...healthyWorker,
  name: 'west',
  healthy: false,
  stale: true,
  url: 'http://10.0.0.3:8080',
  last_contact: new Date(Date.now() - 125_000).toISOString(),
  detail: { error: 'connection refused' },
};

async function cardOf(name: string) {
  return within(await screen.findByRole('article', { name }));
}

describe('the workers page', () => {
  it('shows the properties of a worker, its load and its checks', async () => {
    const fleet = serveFleet(
      aSession({ id: '1', worker: 'east' }),
      aSession({ id: '2', worker: 'east', status: 'INIT' }),
    );
    fleet.workers = [east];
    renderPanel({ path: '/workers' });
    const card = await cardOf('east');
    expect(card.getByText('Healthy')).toBeInTheDocument();
    expect(card.getByRole('meter', { name: 'Sessions' })).toHaveAttribute(
      'aria-valuetext',
      '3 of 10',
    );
    expect(card.getByText('1 ready, 1 starting')).toBeInTheDocument();
    expect(card.getByRole('meter', { name: 'Warm, headless' })).toHaveAttribute(
      'aria-valuetext',
      '1 of 2',
    );
    expect(card.getByText('1 launching')).toBeInTheDocument();
    expect(card.getByText('1.60.0')).toBeInTheDocument();
    expect(card.getByText('0.5.8')).toBeInTheDocument();
    expect(card.getByText('ublock')).toBeInTheDocument();
    expect(card.getByText('1.60.0')).toBeInTheDocument();
    expect(card.getByText('3h')).toBeInTheDocument();
    expect(card.getByText('Answers')).toBeInTheDocument();
    expect(card.getByText('idle TTL 5:00, headless, opens https://example.com')).toBeVisible();
    expect(card.getByText('Pool eu')).toBeInTheDocument();
    expect(card.getByRole('meter', { name: 'Warm, mobile' })).toHaveAttribute('aria-valuenow', '3');
    expect(card.getByText('Warm, with a screen').closest('p')).toHaveTextContent(/Off/);
    expect(card.getByText('eu, us')).toBeInTheDocument();
    expect(card.getByText('The public internet only')).toBeInTheDocument();
    expect(card.getByText('What the browser calls by itself (default), ads')).toBeInTheDocument();
    expect(card.getByText('firefox 153.0 (/usr/bin/firefox)')).toBeInTheDocument();
    expect(document.title).toBe('Workers · camofleet');
  });

  it('explains why a worker is unreachable, what to do, and since when, and lists it first', async () => {
    const fleet = serveFleet();
    fleet.workers = [east, silent];
    renderPanel({ path: '/workers' });
    const card = await cardOf('west');
    expect(card.getByText('Unreachable')).toBeInTheDocument();
    expect(card.getByText('It does not answer: connection refused.')).toBeInTheDocument();
    expect(card.getByText(/that the control role can reach http:\/\/10.0.0.3:8080/)).toBeVisible();
    expect(card.getByText(/shown in their last known state/)).toBeInTheDocument();
    expect(card.getByText(/^2 ?m.* ago$/)).toBeInTheDocument();
    const names = screen
      .getAllByRole('article')
      .map((article) => article.getAttribute('aria-labelledby'));
    expect(names).toEqual(['worker-west', 'worker-east']);
  });

  it('explains what to do about a failing check', async () => {
    const fleet = serveFleet();
    const checks = { driver: 'restarting', engine: 'firefox' };
    const detail = {
      status: 'degraded',
      version: '0.1.0',
      checks,
      failing: ['driver'],
      facts: null,
      insecure: null,
    };
    fleet.workers = [{ ...healthyWorker, healthy: false, detail } as WorkerStatus];
    renderPanel({ path: '/workers' });
    const card = await cardOf('local');
    expect(card.getByText('Driver: restarting')).toBeInTheDocument();
    expect(card.getByText(/RUNNER_DRIVER_DIR/)).toBeInTheDocument();
    expect(card.getByText('Fails:')).toBeInTheDocument();
  });

  it('drains a worker and ends the drain, and shows an error when that fails', async () => {
    const fleet = serveFleet();
    fleet.workers = [east];
    const drained = { ...east, draining: true };
    const user = userEvent.setup();
    server.use(
      http.post('*/api/workers/east/drain', () => HttpResponse.json(drained)),
      http.delete('*/api/workers/east/drain', () => refusal(502, 'no_drain', 'It is too old')),
    );
    renderPanel({ path: '/workers' });
    const card = await cardOf('east');
    await user.click(card.getByRole('button', { name: 'Drain on east' }));
    expect(await card.findByText('Draining')).toBeInTheDocument();
    expect(card.getByText(/running ones continue/)).toBeInTheDocument();
    await user.click(card.getByRole('button', { name: 'Resume on east' }));
    expect(await screen.findByText('east was not changed: It is too old')).toBeInTheDocument();
    expect(card.getByText('Draining')).toBeInTheDocument();
  });

  it('removes a worker that has left the fleet', async () => {
    const fleet = serveFleet();
    fleet.workers = [east, silent];
    renderPanel({ path: '/workers' });
    await cardOf('west');
    fleet.send('workers', ['east']);
    await waitFor(() => {
      expect(screen.queryByRole('article', { name: 'west' })).not.toBeInTheDocument();
    });
    expect(screen.getByRole('article', { name: 'east' })).toBeInTheDocument();
  });

  it('follows the event stream', async () => {
    const fleet = serveFleet();
    fleet.workers = [silent];
    renderPanel({ path: '/workers' });
    await cardOf('west');
    fleet.send('worker', { ...east, name: 'west' });
    expect(await screen.findByText('Healthy')).toBeInTheDocument();
    expect(screen.queryByText(/does not answer/)).not.toBeInTheDocument();
  });

  it('links to the sessions of a worker', async () => {
    const fleet = serveFleet(
      aSession({ id: 'aaaaaaaa-1', worker: 'east' }),
      aSession({ id: 'bbbbbbbb-2', worker: 'west' }),
    );
    fleet.workers = [east, silent];
    const user = renderPanel({ path: '/workers' });
    await user.click(await screen.findByRole('link', { name: '3 sessions on east' }));
    expect(await screen.findByText('aaaaaaaa')).toBeInTheDocument();
    expect(screen.queryByText('bbbbbbbb')).not.toBeInTheDocument();
    await user.selectOptions(screen.getByRole('combobox', { name: 'Worker' }), 'All workers');
    expect(await screen.findByText('bbbbbbbb')).toBeInTheDocument();
  });

  it('explains how to configure workers when there are none', async () => {
    serveFleet().workers = [];
    renderPanel({ path: '/workers' });
    expect(await screen.findByText('The fleet has no workers')).toBeInTheDocument();
    expect(screen.getByText(/^CONTROL_WORKERS=/)).toBeInTheDocument();
  });

  it('is translated to Russian', async () => {
    language.set('ru');
    serveFleet().workers = [silent];
    renderPanel({ path: '/workers' });
    expect(await screen.findByText('Недоступен')).toBeInTheDocument();
    expect(screen.getByRole('link', { name: /Воркеры: 0 из 1/ })).toBeInTheDocument();
  });
});

import { act, screen, waitFor } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { describe, expect, it } from 'vitest';

import { TOKEN_KEY } from '../api/tokenStorage.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { aSession, healthyFleet, listing, refusal, server } from '../test/server.ts';

describe('fleet health', () => {
  it('shows every worker’s checks on demand', async () => {
    server.use(
      http.get('*/api/health', () =>
        HttpResponse.json({
          status: 'degraded',
          workers: [
            ...healthyFleet.workers,
            {
              name: 'eu',
              healthy: false,
              supports_vnc: false,
              detail: { error: 'connection refused' },
            },
          ],
        }),
      ),
    );
    const user = renderPanel();
    const summary = await screen.findByRole('button', { name: 'Fleet degraded · 1 of 2 workers' });
    expect(screen.queryByText('connection refused')).not.toBeInTheDocument();
    await user.click(summary);
    expect(screen.getByText('headless 1/1, vnc 1/1')).toBeInTheDocument();
    expect(screen.getByText('connection refused')).toBeInTheDocument();
    await user.keyboard('{Escape}');
    expect(screen.queryByText('connection refused')).not.toBeInTheDocument();
  });
});

describe('the access token', () => {
  function guardWith(token: string) {
    const guard = ({ request }: { request: Request }) =>
      request.headers.get('Authorization') === `Bearer ${token}`
        ? undefined
        : refusal(401, 'unauthorized', 'An access token is needed');
    server.use(
      http.get('*/api/*', guard),
      listing(() => [aSession({ id: 'ffffffff-6' })]),
    );
    server.use(http.get('*/api/*', guard));
  }

  it('is asked for on a 401, tried, kept for the tab and sent', async () => {
    guardWith('s3cret');
    const user = renderPanel();
    const field = await screen.findByLabelText('Token');
    expect(screen.queryByRole('button', { name: 'Launch session' })).not.toBeInTheDocument();

    await user.type(field, 'wrong{Enter}');
    expect(await screen.findByRole('alert')).toHaveTextContent('did not accept this token');

    await user.type(await screen.findByLabelText('Token'), 's3cret{Enter}');
    expect(await screen.findByText('ffffffff')).toBeInTheDocument();
    expect(sessionStorage.getItem(TOKEN_KEY)).toBe('s3cret');

    await user.click(screen.getByRole('button', { name: 'Forget token' }));
    expect(await screen.findByLabelText('Token')).toBeInTheDocument();
    expect(screen.queryByText('ffffffff')).not.toBeInTheDocument();
    expect(sessionStorage.getItem(TOKEN_KEY)).toBeNull();
  });
});

describe('the offline note', () => {
  const comeBackToTheTab = () => {
    act(() => {
      window.dispatchEvent(new Event('visibilitychange'));
    });
  };

  it.each([
    ['there is no connection', () => HttpResponse.error()],
    ['a proxy answers for it', () => HttpResponse.html('<h1>Bad Gateway</h1>', { status: 502 })],
  ])('shows while %s, keeps the list, and goes by itself', async (_case, failure) => {
    server.use(listing(() => [aSession({ id: 'ffffffff-6' })]));
    renderPanel();
    await screen.findByText('ffffffff');

    server.use(http.get('*/api/*', failure));
    comeBackToTheTab();
    expect(await screen.findByText(/^Offline since/)).toHaveTextContent('last known state');
    expect(screen.getByText('ffffffff')).toBeInTheDocument();

    server.resetHandlers();
    comeBackToTheTab();
    await waitFor(() => {
      expect(screen.queryByText(/^Offline since/)).not.toBeInTheDocument();
    });
  });
});

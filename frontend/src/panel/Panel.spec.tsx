import { screen } from '@testing-library/react';
import { http } from 'msw';
import { describe, expect, it } from 'vitest';

import { TOKEN_KEY } from '../api/token.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { aSession, healthyWorker, refusal, serveFleet, server } from '../test/server.ts';

describe('fleet health', () => {
  it('links to the workers', async () => {
    const fleet = serveFleet();
    fleet.workers.push({
      ...healthyWorker,
      name: 'eu',
      healthy: false,
      supports_vnc: false,
      detail: { error: 'connection refused' },
    });
    const user = renderPanel();
    await user.click(await screen.findByRole('link', { name: 'Fleet degraded 1 of 2 workers' }));
    expect(await screen.findByRole('heading', { name: /^Workers/ })).toBeInTheDocument();
    expect(screen.getByText(/connection refused/)).toBeInTheDocument();
  });
});

describe('the access token', () => {
  function guardWith(token: string) {
    const guard = ({ request }: { request: Request }) =>
      request.headers.get('Authorization') === `Bearer ${token}`
        ? undefined
        : refusal(401, 'unauthorized', 'An access token is needed');
    serveFleet(aSession({ id: 'ffffffff-6' }));
    server.use(http.get('*/api/*', guard));
  }

  it('is requested on a 401, tried, stored for the tab and sent', async () => {
    guardWith('s3cret');
    const user = renderPanel();
    const field = await screen.findByLabelText('Token');
    expect(screen.queryByRole('button', { name: 'Launch session' })).not.toBeInTheDocument();

    await user.type(field, 'wrong{Enter}');
    expect(await screen.findByRole('alert')).toHaveTextContent('did not accept this token');

    await user.type(await screen.findByLabelText('Token'), 's3cret{Enter}');
    expect(await screen.findByText('ffffffff')).toBeInTheDocument();
    expect(sessionStorage.getItem(TOKEN_KEY)).toBe('s3cret');

    await user.click(screen.getByRole('button', { name: 'Settings' }));
    await user.click(await screen.findByRole('menuitem', { name: 'Forget token' }));
    expect(await screen.findByLabelText('Token')).toBeInTheDocument();
    expect(screen.queryByText('ffffffff')).not.toBeInTheDocument();
    expect(sessionStorage.getItem(TOKEN_KEY)).toBeNull();
  });
});

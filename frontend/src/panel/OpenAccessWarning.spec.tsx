import { screen, waitFor } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { describe, expect, it } from 'vitest';

import { OpenAccessDismissal } from './OpenAccessWarning.tsx';
import { language } from '../i18n/language.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { serveFleet, server } from '../test/server.ts';

function serveOpenFleet() {
  const fleet = serveFleet();
  fleet.insecure = true;
  return fleet;
}

describe('a fleet without access control', () => {
  it.each(['/', '/wall', '/workers', '/fleet', '/nowhere', '/sessions/local/x'])(
    'is warned about on %s, with what to do about it',
    async (path) => {
      // The other requests of these pages don't matter here.
      server.use(http.get('*/api/*', () => new HttpResponse(null, { status: 404 })));
      serveOpenFleet();
      renderPanel({ path });
      const note = await screen.findByText(/controls the fleet/);
      expect(note.closest('[role=alert]')).toHaveTextContent(
        'Set CONTROL_API_TOKEN, or have it listen on 127.0.0.1 (CONTROL_HOST).',
      );
    },
  );

  it('is warned about in Russian too', async () => {
    serveOpenFleet();
    language.set('ru');
    renderPanel();
    const note = await screen.findByText(/Флотом управляет каждый/);
    expect(note).toHaveTextContent(/Задайте CONTROL_API_TOKEN или слушайте только 127\.0\.0\.1/);
  });

  it('is not warned about again in the tab after the warning was dismissed', async () => {
    serveOpenFleet();
    const user = renderPanel();
    await screen.findByText(/controls the fleet/);
    await user.click(screen.getByRole('button', { name: 'Dismiss' }));
    expect(screen.queryByText(/controls the fleet/)).not.toBeInTheDocument();
    expect(new OpenAccessDismissal().get()).toBe(true);
    sessionStorage.clear();
    expect(new OpenAccessDismissal().get()).toBe(false);
  });

  it('is checked once per connection, and noticed when it changes', async () => {
    const fleet = serveFleet();
    renderPanel();
    await screen.findByText('Live');
    await waitFor(() => {
      expect(fleet.healthReads).toBe(1);
    });
    expect(screen.queryByText(/controls the fleet/)).not.toBeInTheDocument();
    fleet.insecure = true;
    fleet.cut();
    await screen.findByText('Polling');
    expect(await screen.findByText(/controls the fleet/)).toBeInTheDocument();
  });

  it('causes no warning if control does not report it', async () => {
    const fleet = serveFleet();
    let asked = false;
    server.use(
      http.get('*/api/health', () => {
        asked = true;
        return HttpResponse.json({ status: 'ok' });
      }),
    );
    renderPanel();
    await screen.findByText('Live');
    await waitFor(() => {
      expect(asked).toBe(true);
    });
    expect(fleet.healthReads).toBe(0);
    expect(screen.queryByText(/controls the fleet/)).not.toBeInTheDocument();
  });
});

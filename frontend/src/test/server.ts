import { http, HttpResponse } from 'msw';
import { setupServer } from 'msw/node';

import type { FleetHealth, Session } from '../api/types.ts';

const ID = '3f2b8c1e-0000-4000-8000-000000000001';

/** A living session, as the control role describes it. */
export function aSession(changes: Partial<Session> = {}): Session {
  const id = changes.id ?? ID;
  const now = new Date().toISOString();
  return {
    id,
    status: 'READY',
    created_at: now,
    last_seen_at: now,
    browser: 'camoufox',
    headless: false,
    idle_ttl_seconds: 300,
    labels: {},
    worker: 'local',
    vnc_enabled: false,
    start_url_wait: 'load',
    ws_endpoint: `/sessions/local/${id}/ws`,
    vnc: { ws: null, http: null, password_protected: false },
    attached: 0,
    restarts: 0,
    ...changes,
  };
}

/** A fleet of one healthy worker. */
export const healthyFleet: FleetHealth = {
  status: 'ok',
  workers: [
    {
      name: 'local',
      healthy: true,
      supports_vnc: true,
      detail: { status: 'ok', version: '0.1.0', checks: { prewarm: 'headless 1/1, vnc 1/1' } },
    },
  ],
};

/** Answers the two lists, told apart as the API does it. */
export function listing(sessions: () => Session[], ended: () => Session[] = () => []) {
  return http.get('*/api/sessions', ({ request }) =>
    HttpResponse.json(
      new URL(request.url).searchParams.get('ended') === 'true' ? ended() : sessions(),
    ),
  );
}

/** An error as the API puts it. */
export function refusal(status: number, code: string, detail: string) {
  return HttpResponse.json({ detail, code }, { status });
}

/** The API at the network's edge: an empty, healthy fleet until a test says otherwise. */
export const server = setupServer(
  http.get('*/api/health', () => HttpResponse.json(healthyFleet)),
  listing(() => []),
);

import { http, HttpResponse } from 'msw';
import { setupServer } from 'msw/node';

import type {
  Change,
  EgressFacts,
  Identity,
  Profile,
  Session,
  SessionDefaults,
  WorkerStatus,
} from '../api/types.ts';

const ID = '3f2b8c1e-0000-4000-8000-000000000001';

/** A live session, as the control role describes it. */
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
    browser_version: null,
    start_url: null,
    start_url_wait: 'load',
    start_url_error: null,
    on_crash: 'restart',
    contexts: 'keep',
    request_id: null,
    ended_at: null,
    end_reason: null,
    end_detail: null,
    vnc_id: null,
    vnc_key: null,
    stale: false,
    ws_endpoint: `/sessions/local/${id}/ws`,
    vnc: { ws: null, http: null, password_protected: false },
    attached: 0,
    restarts: 0,
    proxy: null,
    egress: { bytes_up: 0, bytes_down: 0, connections: 0, open_connections: 0, refused: {} },
    block: [],
    profile: null,
    profile_mode: null,
    identity: null,
    contradictions: null,
    ...changes,
  };
}

/** An identity of which nothing is set. */
export const NOBODY: Identity = {
  locale: null,
  timezone: null,
  geolocation: null,
  screen: null,
  block_images: false,
  user_preferences: {},
  webrtc: null,
  addons: null,
  fonts: null,
  humanize: null,
  main_world_eval: null,
  os: null,
  seed: null,
  webgl: null,
};

/** A profile that no session uses. */
export function aProfile(changes: Partial<Profile> = {}): Profile {
  return {
    id: '5f2b8c1e-0000-4000-8000-000000000001',
    name: 'anna',
    worker: 'local',
    stale: false,
    created_at: new Date().toISOString(),
    last_used_at: null,
    browser: 'firefox',
    browser_version: null,
    identity: null,
    proxy: null,
    labels: {},
    notes: '',
    size_bytes: 0,
    recovered: false,
    used_by: null,
    ...changes,
  };
}

/** A healthy worker. */
export const healthyWorker: WorkerStatus = {
  name: 'local',
  healthy: true,
  supports_vnc: true,
  sessions: 0,
  stale: false,
  draining: false,
  last_contact: null,
  url: null,
  detail: {
    status: 'ok',
    version: '0.1.0',
    checks: { prewarm: 'headless 1/1, vnc 1/1' },
    failing: [],
    facts: null,
    insecure: null,
  },
};

/** A healthy worker that reports its defaults. */
export function aWorkerWith(
  name: string,
  defaults: Partial<SessionDefaults>,
  egress: EgressFacts | null = null,
): WorkerStatus {
  const facts = {
    sessions: 0,
    capacity: null,
    defaults: {
      idle_ttl_seconds: 300,
      headless: false,
      start_url: null,
      start_url_wait: 'load' as const,
      ...defaults,
    },
    engine: null,
    playwright: null,
    node: null,
    pools: {},
    identity: [],
    machines: null,
    profiles: null,
    slots: null,
    drivers: null,
    egress,
    draining: false,
    started_at: null,
    host_name: null,
  };
  const detail = {
    status: 'ok' as const,
    version: '0.1.0',
    checks: {},
    failing: [],
    facts,
    insecure: null,
  };
  return { ...healthyWorker, name, detail };
}

/** An error of the API. */
export function refusal(status: number, code: string, detail: string) {
  return HttpResponse.json({ detail, code }, { status });
}

/** A fleet behind the mocked API: its lists, and the event stream. */
export class FakeFleet {
  sessions: Session[];
  ended: Session[] = [];
  workers: WorkerStatus[] = [healthyWorker];
  profiles: Profile[] = [];
  /** How often the profiles were listed. */
  profileReads = 0;
  /** How often the lists were polled: that of workers is requested for nothing else. */
  polls = 0;
  /** Whether access is unrestricted, and how often that was requested. */
  insecure = false;
  healthReads = 0;
  readonly #streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #cut = false;
  #last = 0;

  constructor(...sessions: Session[]) {
    this.sessions = sessions;
  }

  /** Its request handlers. */
  readonly handlers = [
    http.get('*/api/events', () => this.#follow()),
    http.get('*/api/workers', () => {
      this.polls += 1;
      return HttpResponse.json(this.workers);
    }),
    http.get('*/api/profiles', () => {
      this.profileReads += 1;
      return HttpResponse.json(this.profiles);
    }),
    http.get('*/api/health', () => {
      this.healthReads += 1;
      const { workers, insecure } = this;
      return HttpResponse.json({ status: 'ok', workers, insecure });
    }),
    http.get('*/api/sessions/:worker/:id/egress', ({ params }) => {
      const session = this.sessions.find(({ id }) => id === params.id);
      if (!session) return refusal(404, 'session_not_found', 'Session not found');
      const { proxy, block, egress: totals } = session;
      return HttpResponse.json({ proxy, policy: 'no-fleet', block, totals, hosts: [] });
    }),
    http.get('*/api/sessions', ({ request }) => {
      if (new URL(request.url).searchParams.get('ended') === 'true') {
        return HttpResponse.json(this.ended);
      }
      return HttpResponse.json(this.sessions);
    }),
  ];

  #follow() {
    if (this.#cut) return refusal(503, 'restarting', 'The stream is cut');
    let opened: ReadableStreamDefaultController<Uint8Array>;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        opened = controller;
        this.#streams.add(controller);
        const { sessions, workers } = this;
        controller.enqueue(this.#frame('snapshot', { sessions, workers }));
      },
      cancel: () => {
        this.#streams.delete(opened);
      },
    });
    return new HttpResponse(stream, { headers: { 'Content-Type': 'text/event-stream' } });
  }

  #frame(name: string, data: unknown): Uint8Array {
    this.#last += 1;
    const text = `id: 1-${this.#last}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    return new TextEncoder().encode(text);
  }

  /** Sends an event to all subscribers. */
  send(name: string, data: unknown): void {
    for (const stream of this.#streams) stream.enqueue(this.#frame(name, data));
  }

  /** Changes a session and sends the event. */
  emitChange(change: Change, session: Session): void {
    this.sessions = this.sessions.filter(({ id }) => id !== session.id);
    if (change === 'ended') this.ended.unshift(session);
    else this.sessions.push(session);
    this.send('session', { change, at: new Date().toISOString(), request_id: null, session });
  }

  /** Closes all streams and refuses new ones. */
  cut(): void {
    this.#cut = true;
    for (const stream of this.#streams) stream.close();
    this.#streams.clear();
  }

  /** Accepts streams again. */
  restore(): void {
    this.#cut = false;
  }
}

/** The API: an empty, healthy fleet unless a test sets up another. */
export const server = setupServer(...new FakeFleet().handlers);

/** Serves a fleet with these sessions. */
export function serveFleet(...sessions: Session[]): FakeFleet {
  const fleet = new FakeFleet(...sessions);
  server.use(...fleet.handlers);
  return fleet;
}

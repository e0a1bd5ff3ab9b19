import { screen, waitFor, within } from '@testing-library/react';
import type { UserEvent } from '@testing-library/user-event';
import { http, HttpResponse } from 'msw';
import { describe, expect, it } from 'vitest';

import { access } from '../api/token.ts';
import type { HistoryEntry, Session } from '../api/types.ts';
import { renderPage, Stream } from '../test/renderPage.tsx';
import { aSession, refusal, server } from '../test/server.ts';
import { SessionPage } from './SessionPage.tsx';
import { sessionPath } from '../sessions/sessionPath.ts';

const EVERYTHING: Partial<Session> = {
  worker: 'west',
  ws_endpoint: '/sessions/west/3f2b8c1e/ws',
  browser_version: '135.0',
  labels: { team: 'search' },
  attached: 2,
  restarts: 1,
  on_crash: 'restart',
  contexts: 'keep',
  start_url: 'https://start.test/',
  start_url_error: 'the name start.test is unknown',
  request_id: 'req-17',
};

function entry(changes: Partial<HistoryEntry>): HistoryEntry {
  return {
    at: '2026-01-02T03:04:05Z',
    change: 'created',
    detail: null,
    request_id: null,
    ...changes,
  };
}

interface Api {
  /** The answer to `GET /sessions/{worker}/{id}?ended=true`; live sessions come from the event stream. */
  remembered?: () => Response;
  history?: HistoryEntry[];
}

const notFound = () => refusal(404, 'session_not_found', 'Session not found');

/** Opens the page of a session in a fleet with these live sessions. */
function open(place: Session, living: Session[], { remembered, history }: Api = {}) {
  const stream = new Stream({ name: 'snapshot', data: { sessions: living, workers: [] } });
  server.use(
    http.get('*/api/sessions/:worker/:id', ({ request }) => {
      const wanted = new URL(request.url).searchParams.get('ended') === 'true';
      return wanted && remembered ? remembered() : notFound();
    }),
    http.get('*/api/sessions/:worker/:id/egress', () =>
      HttpResponse.json({
        proxy: null,
        policy: 'open',
        block: [],
        totals: aSession().egress,
        hosts: [],
      }),
    ),
    http.get('*/api/sessions/:worker/:id/events', () =>
      history ? HttpResponse.json(history) : notFound(),
    ),
  );
  const user = renderPage({
    pattern: '/sessions/:worker/:id',
    at: sessionPath(place),
    page: <SessionPage />,
  });
  return { user, stream };
}

/** Opens the page of a live session and waits until it is shown. */
async function openLive(session: Session, api: Api = {}) {
  const opened = open(session, [session], api);
  await screen.findByText(session.status);
  return opened;
}

function fact(name: string): HTMLElement {
  const [, value] = screen.getByText(name).parentElement?.children ?? [];
  if (!(value instanceof HTMLElement)) throw new Error(`${name} has no value`);
  return value;
}

describe('the page of a live session', () => {
  it('shows its properties', async () => {
    const session = aSession({
      ...EVERYTHING,
      identity: {
        locale: ['de-AT', 'de'],
        timezone: 'Europe/Vienna',
        os: ['windows'],
        webgl: null,
        fonts: null,
        humanize: null,
        addons: null,
        main_world_eval: null,
        seed: 'anna',
        geolocation: { latitude: 48.2, longitude: 16.4, accuracy: 50 },
        screen: { width: 1366, height: 768 },
        webrtc: 'proxy',
        block_images: true,
        user_preferences: { 'dom.maxHardwareConcurrency': 4 },
      },
      contradictions: [
        {
          field: 'locale',
          value: 'de-AT, de',
          against: 'exit_country',
          fact: 'JP',
          detail: 'locale: de-AT does not fit JP',
        },
        {
          field: 'fonts',
          value: 'Geneva',
          against: 'os',
          fact: 'windows',
          detail: 'fonts: Geneva left out',
        },
        {
          field: 'newer',
          value: 'x',
          against: 'newer',
          fact: 'y',
          detail: 'newer: x does not fit y',
        },
      ],
    });
    await openLive(session);
    expect(fact('Does not fit')).toHaveTextContent(
      'Languages: de-AT, de, but the exit is in Japan',
    );
    expect(fact('Does not fit')).toHaveTextContent(
      'Fonts: Geneva left out, because Windows does not have them',
    );
    expect(fact('Does not fit')).toHaveTextContent('newer: x does not fit y');
    expect(fact('Languages')).toHaveTextContent('de-AT, de');
    expect(fact('Time zone')).toHaveTextContent('Europe/Vienna');
    expect(fact('Place')).toHaveTextContent('48.2, 16.4 (within 50 m)');
    expect(fact('Screen size')).toHaveTextContent('1366×768');
    expect(fact('WebRTC')).toHaveTextContent('there, without a connection');
    expect(fact('Images')).toHaveTextContent('not loaded');
    expect(fact('Preferences')).toHaveTextContent('dom.maxHardwareConcurrency = 4');
    expect(fact('System')).toHaveTextContent('Windows');
    expect(fact('Seed')).toHaveTextContent('anna');
    expect(screen.getByRole('heading', { name: 'Session 3f2b8c1e' })).toBeInTheDocument();
    expect(fact('Id')).toHaveTextContent(session.id);
    expect(fact('Worker')).toHaveTextContent('west');
    expect(fact('Engine')).toHaveTextContent('camoufox 135.0');
    expect(fact('Labels')).toHaveTextContent('team=search');
    expect(fact('Idle TTL')).toHaveTextContent(/^[45]:\d\d of 5:00$/);
    expect(fact('Attached clients')).toHaveTextContent('2');
    expect(fact('Restarts')).toHaveTextContent('1');
    expect(fact('On a crash')).toHaveTextContent('restarted');
    expect(fact('Contexts of a client that leaves')).toHaveTextContent('Kept');
    expect(fact('Start URL')).toHaveTextContent('https://start.test/');
    expect(fact('Start URL')).toHaveTextContent('the name start.test is unknown');
    expect(fact('Request')).toHaveTextContent('req-17');
    expect(screen.queryByText(/does not answer/)).not.toBeInTheDocument();
  });

  it('links to its profile, and says that it never ends by itself', async () => {
    const session = aSession({ profile: 'anna', profile_mode: 'copy', idle_ttl_seconds: 0 });
    await openLive(session);
    expect(fact('Profile')).toHaveTextContent('anna (a copy; keeps nothing)');
    expect(within(fact('Profile')).getByRole('link', { name: 'anna' })).toHaveAttribute(
      'href',
      '/profiles?profile=anna',
    );
    expect(fact('Idle TTL')).toHaveTextContent('None: it ends when it is ended');
  });

  it('follows its events until it ends, and shows the reason', async () => {
    const session = aSession();
    const ended = aSession({
      status: 'DEAD',
      ended_at: new Date().toISOString(),
      end_reason: 'crashed',
      end_detail: 'the browser was ended by SIGSEGV',
    });
    let over = false;
    const { stream } = await openLive(session, {
      remembered: () => (over ? HttpResponse.json(ended) : notFound()),
    });
    const at = new Date().toISOString();
    const attached = { ...session, attached: 5 };
    stream.send({ name: 'session', data: { change: 'attached', at, session: attached } });
    await waitFor(() => {
      expect(fact('Attached clients')).toHaveTextContent('5');
    });

    over = true;
    stream.send({ name: 'session', data: { change: 'ended', at, session: ended } });
    const end = await screen.findByRole('region', { name: 'End' });
    expect(end).toHaveTextContent('Browser crashed');
    expect(end).toHaveTextContent('the browser was ended by SIGSEGV');
    expect(screen.queryByRole('button', { name: 'Touch' })).not.toBeInTheDocument();
    expect(screen.queryByRole('heading', { name: 'Connect' })).not.toBeInTheDocument();
  });

  it('shows that its worker does not answer', async () => {
    await openLive(aSession({ stale: true }));
    expect(screen.getByText(/last known state/)).toBeInTheDocument();
  });

  it('shows its history, the latest event first', async () => {
    await openLive(aSession(), {
      history: [
        entry({ change: 'created', request_id: 'req-17' }),
        entry({ change: 'ready' }),
        entry({ change: 'restarting', detail: 'the browser was ended by SIGSEGV' }),
        entry({ change: 'proxy_changed', detail: 'the pool us' }),
        entry({ change: 'something_new' as 'ready' }),
      ],
    });
    const entries = await within(screen.getByRole('region', { name: 'History' })).findAllByRole(
      'listitem',
    );
    expect(entries).toHaveLength(5);
    expect(entries[0]).toHaveTextContent('something_new');
    expect(entries[1]).toHaveTextContent('Exit changed');
    expect(entries[1]).toHaveTextContent('Pool us');
    expect(entries[2]).toHaveTextContent('the browser was ended by SIGSEGV');
    expect(entries[4]).toHaveTextContent('Created');
    expect(entries[4]).toHaveTextContent('request req-17');
    const local = new Date('2026-01-02T03:04:05Z').toLocaleTimeString();
    expect(entries[4]).toHaveTextContent(local);
  });

  it('explains that its worker keeps no history', async () => {
    await openLive(aSession());
    expect(await screen.findByText(/no longer available/)).toBeInTheDocument();
  });

  it('works for a worker with any characters in its name', async () => {
    await openLive(aSession({ worker: 'a b/ä%' }));
    expect(fact('Worker')).toHaveTextContent('a b/ä%');
  });
});

describe('a session that is not live', () => {
  it('is shown as the API remembers it', async () => {
    const ended = aSession({
      status: 'DEAD',
      end_reason: 'expired',
      end_detail: 'nothing happened',
    });
    open(ended, [], { remembered: () => HttpResponse.json(ended) });
    expect(screen.getByRole('status')).toHaveTextContent('Loading…');
    expect(await screen.findByText('Idle TTL passed')).toBeInTheDocument();
    expect(screen.getByText('nothing happened')).toBeInTheDocument();
  });

  it('links to the sessions when the API does not know it', async () => {
    const { user } = open(aSession(), []);
    expect(await screen.findByText('There is no such session')).toBeInTheDocument();
    await user.click(screen.getByRole('link', { name: 'Go to the sessions' }));
    expect(screen.getByText('another page')).toBeInTheDocument();
  });

  it('can be requested again after the API was unreachable', async () => {
    const ended = aSession({ status: 'DEAD', end_reason: 'deleted' });
    let reachable = false;
    const { user } = open(ended, [], {
      remembered: () => (reachable ? HttpResponse.json(ended) : HttpResponse.error()),
    });
    await screen.findByText('The API can’t be reached.');
    reachable = true;
    await user.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByText('Ended by request')).toBeInTheDocument();
  });
});

describe('actions of the page', () => {
  it('touch the session, and show success and failure', async () => {
    const session = aSession();
    const { user } = await openLive(session);
    server.use(http.post('*/touch', () => refusal(409, 'not_ready', 'It ended.'), { once: true }));
    await user.click(screen.getByRole('button', { name: 'Touch' }));
    expect(await screen.findByRole('alert')).toHaveTextContent('was not touched: It ended.');
    server.use(http.post('*/touch', () => HttpResponse.json(session)));
    await user.click(screen.getByRole('button', { name: 'Touch' }));
    expect(await screen.findByText('Session 3f2b8c1e touched.')).toBeInTheDocument();
  });

  it('end the session after a confirmation', async () => {
    const session = aSession({ attached: 1 });
    let over = false;
    const { user } = await openLive(session, {
      remembered: () => HttpResponse.json({ ...session, status: 'DEAD', end_reason: 'deleted' }),
    });
    server.use(
      http.delete('*/api/sessions/local/:id', () => {
        over = true;
        return HttpResponse.json({ id: session.id, status: 'DEAD' });
      }),
    );
    await user.click(screen.getByRole('button', { name: 'End' }));
    const dialog = screen.getByRole('dialog');
    expect(dialog).toHaveTextContent('1 client is attached');
    expect(over).toBe(false);
    await user.click(within(dialog).getByRole('button', { name: 'End session' }));
    expect(await screen.findByText('Session 3f2b8c1e ended.')).toBeInTheDocument();
    expect(await screen.findByText('Ended by request')).toBeInTheDocument();
  });
});

describe('connecting', () => {
  const program = () => screen.getByRole('tabpanel');
  const selected = () => screen.getByRole('tab', { selected: true });

  async function choose(user: UserEvent, key: string, title: string) {
    await user.keyboard(key);
    expect(selected()).toHaveTextContent(title);
    expect(selected()).toHaveFocus();
  }

  it('offers a snippet for each client, by arrow keys too', async () => {
    const session = aSession();
    const { user } = await openLive(session);
    const url = `ws://${window.location.host}${session.ws_endpoint}`;
    await user.click(screen.getByRole('tab', { name: 'Node' }));
    expect(program()).toHaveTextContent(`firefox.connect(url)`);
    expect(program()).toHaveTextContent(url);
    await choose(user, '{ArrowLeft}', '.NET');
    expect(program()).toHaveTextContent('ConnectAsync');
    await choose(user, '{ArrowRight}{ArrowRight}', 'Python');
    await choose(user, '{End}', '.NET');
    await choose(user, '{Home}', 'Node');
  });

  it('copies the URL and the snippet, without the token', async () => {
    access.accept('s3cret');
    const { user } = await openLive(aSession());
    await user.click(screen.getByRole('button', { name: 'Copy URL' }));
    expect(await navigator.clipboard.readText()).toMatch(/^ws:.*\/ws$/);
    await user.click(screen.getByRole('button', { name: 'Copy program' }));
    const code = await navigator.clipboard.readText();
    expect(code).toContain('CONTROL_API_TOKEN');
    expect(code).not.toContain('s3cret');
    expect(screen.getByText('Node program copied.')).toBeInTheDocument();
  });
});

import { act, screen, waitFor, within } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { EgressReport, EgressTotals, Session } from '../api/types.ts';
import { useLiveSession } from '../hooks/fleet.ts';
import { language } from '../i18n/language.ts';
import { renderPage, Stream } from '../test/renderPage.tsx';
import { aSession, aWorkerWith, healthyWorker, refusal, server } from '../test/server.ts';
import { EGRESS_INTERVAL_MS, rateBetween } from './egressPoller.ts';
import { SessionNetwork } from './SessionNetwork.tsx';

const POOL = { server: null, pool: 'eu' };
const EGRESS = {
  policy: 'public',
  proxies: ['eu', 'us'],
  default_proxy: null,
  block_lists: ['phone_home'],
  default_block: ['phone_home'],
  checks_proxies: false,
  city_database: null,
};

function totals(changes: Partial<EgressTotals> = {}): EgressTotals {
  return {
    bytes_up: 0,
    bytes_down: 0,
    connections: 0,
    open_connections: 0,
    refused: {},
    ...changes,
  };
}

function aReport(changes: Partial<EgressReport> = {}): EgressReport {
  return {
    proxy: POOL,
    policy: 'public',
    block: ['phone_home'],
    totals: totals(),
    hosts: [],
    ...changes,
  };
}

/** The API's egress of a session. */
class Egress {
  report = aReport();
  failure: (() => Response) | null = null;
  polls = 0;

  constructor() {
    server.use(
      http.get('*/api/sessions/local/:id/egress', () => {
        this.polls += 1;
        return this.failure ? this.failure() : HttpResponse.json(this.report);
      }),
    );
  }
}

function Card({ session }: { session: Session }) {
  return <SessionNetwork session={useLiveSession(session) ?? session} />;
}

/** Shows the card of a session. */
function open(session: Session) {
  const egress = new Egress();
  const data = { sessions: [session], workers: [aWorkerWith('local', {}, EGRESS)] };
  const stream = new Stream({ name: 'snapshot', data });
  const user = renderPage({ pattern: '/', at: '/', page: <Card session={session} /> });
  return { egress, stream, user };
}

function fact(name: string): HTMLElement {
  const [, value] = screen.getByText(name, { selector: 'dt' }).parentElement?.children ?? [];
  if (!(value instanceof HTMLElement)) throw new Error(`${name} has no value`);
  return value;
}

function setVisibility(state: DocumentVisibilityState): void {
  vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state);
  act(() => {
    document.dispatchEvent(new Event('visibilitychange'));
  });
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('a rate', () => {
  const sample = (at: number, changes: Partial<EgressTotals>) => ({
    at,
    report: aReport({ totals: totals(changes) }),
  });
  it('is what came between two reports, by their time', () => {
    const before = sample(1000, { bytes_up: 100, bytes_down: 1000 });
    const now = sample(3500, { bytes_up: 600, bytes_down: 1000 });
    expect(rateBetween(before, now)).toEqual({ up: 200, down: 0 });
  });

  it('is unknown when the counts began again, or no time passed', () => {
    expect(rateBetween(sample(0, { bytes_up: 5 }), sample(1000, { bytes_up: 4 }))).toBeNull();
    expect(rateBetween(sample(0, {}), sample(0, {}))).toBeNull();
  });
});

describe('what a browser connects to', () => {
  const session = aSession({ proxy: POOL, block: ['phone_home'] });

  it('is shown by totals, refusals and hosts', async () => {
    const { egress } = open(session);
    egress.report = aReport({
      totals: totals({
        bytes_up: 1500,
        bytes_down: 2_000_000,
        connections: 12,
        open_connections: 3,
        refused: { fleet: 1, blocked: 20, haunted: 2 },
      }),
      hosts: [{ host: 'a.test', connections: 4, bytes_up: 1000, bytes_down: 1_500_000 }],
    });
    const table = within(await screen.findByRole('table', { name: 'Hosts with the most traffic' }));
    const cells = table.getAllByRole('cell').map(({ textContent }) => textContent);
    expect(table.getByRole('rowheader')).toHaveTextContent('a.test');
    expect(cells).toEqual(['1.5 MB', '1 kB', '4']);
    expect(fact('Exit')).toHaveTextContent('Pool eu');
    expect(fact('Received')).toHaveTextContent('2 MB in total');
    expect(fact('Sent')).toHaveTextContent('1.5 kB in total');
    expect(fact('Connections')).toHaveTextContent('3 open, 12 in total');
    expect(fact('Allowed destinations')).toHaveTextContent('The public internet only');
    expect(fact('Blocked hosts')).toHaveTextContent('What the browser calls by itself');
    const refused = within(fact('Refused connections'));
    expect(refused.getAllByRole('listitem').map((item) => item.textContent)).toEqual([
      'On a block list 20',
      'haunted 2',
      'Belongs to this fleet 1',
    ]);
    act(() => {
      language.set('ru');
    });
    expect(fact('Выход')).toHaveTextContent('Пул eu');
    expect(screen.getByText('Есть в списке запрещённых')).toBeInTheDocument();
  });

  it('is said to be nothing before the first connection', async () => {
    open(session);
    expect(await screen.findByText(/has not connected to anything/)).toBeInTheDocument();
    expect(fact('Refused connections')).toHaveTextContent('None');
  });

  it('is unknown on a machine that does not control it', () => {
    const { egress } = open(aSession({ egress: null }));
    expect(screen.getByText(/does not control or count/)).toBeInTheDocument();
    expect(screen.queryByRole('button')).not.toBeInTheDocument();
    expect(egress.polls).toBe(0);
  });

  it('stays as it was counted after the end, without polls', () => {
    const { egress } = open(
      aSession({ status: 'DEAD', proxy: POOL, egress: totals({ bytes_down: 5000 }) }),
    );
    expect(fact('Received')).toHaveTextContent(/^5 kB$/);
    expect(screen.queryByRole('button')).not.toBeInTheDocument();
    expect(egress.polls).toBe(0);
  });

  it('has no figures while its worker is silent', () => {
    const { egress } = open(aSession({ stale: true }));
    expect(egress.polls).toBe(0);
    expect(screen.queryByRole('button')).not.toBeInTheDocument();
  });
});

describe('polls', () => {
  const session = aSession({ proxy: POOL });

  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'performance'],
      shouldAdvanceTime: false,
    });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  /** Waits for answers without time passing: intervals are real. */
  async function answered(condition: () => void) {
    const turn = () =>
      new Promise<void>((resolve) => {
        const timer = setInterval(() => {
          clearInterval(timer);
          resolve();
        }, 5);
      });
    for (let turns = 0; turns < 2000; turns += 1) {
      try {
        condition();
        return;
      } catch {
        await act(turn);
      }
    }
    condition();
  }
  const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));

  it('give the rate, which is not shown while the page is hidden', async () => {
    const { egress } = open(session);
    await answered(() => {
      expect(fact('Allowed destinations')).toBeInTheDocument();
    });
    expect(egress.polls).toBe(1);
    expect(fact('Received').querySelector('strong')).toHaveTextContent('–');

    egress.report = aReport({ totals: totals({ bytes_down: 30_000, bytes_up: 2000 }) });
    await pass(EGRESS_INTERVAL_MS);
    await answered(() => {
      expect(fact('Received')).toHaveTextContent('15 kB/s');
    });
    expect(fact('Sent')).toHaveTextContent('1 kB/s');

    setVisibility('hidden');
    expect(fact('Received').querySelector('strong')).toHaveTextContent('–');
    const { polls } = egress;
    await pass(5 * EGRESS_INTERVAL_MS);
    expect(egress.polls).toBe(polls);

    setVisibility('visible');
    await answered(() => {
      expect(egress.polls).toBe(polls + 1);
    });
    expect(fact('Received').querySelector('strong')).toHaveTextContent('–');
  });

  it('stop at the end of the session', async () => {
    const { egress, stream } = open(session);
    await answered(() => {
      expect(egress.polls).toBe(1);
    });
    const ending = { ...session, status: 'TERMINATING' as const };
    const at = new Date().toISOString();
    stream.send({ name: 'session', data: { change: 'ending', at, session: ending } });
    await answered(() => {
      expect(screen.queryByRole('button')).not.toBeInTheDocument();
    });
    await pass(5 * EGRESS_INTERVAL_MS);
    expect(egress.polls).toBe(1);
  });

  it('say why there are no figures, are repeated later each time, and recover', async () => {
    const { egress } = open(session);
    egress.failure = () => refusal(502, 'upstream_unreachable', 'the worker does not answer');
    await answered(() => {
      expect(screen.getByRole('alert')).toHaveTextContent(
        'No current figures: the worker does not answer',
      );
    });
    await pass(2000);
    await answered(() => {
      expect(egress.polls).toBe(2);
    });
    await pass(3999);
    expect(egress.polls).toBe(2);
    egress.failure = null;
    await pass(1);
    await answered(() => {
      expect(screen.queryByRole('alert')).not.toBeInTheDocument();
    });
    expect(egress.polls).toBe(3);
  });
});

describe('changing the exit', () => {
  /** Answers changes, and records them. */
  function recordChanges(answer: (proxy: unknown) => Response | Promise<Response>): unknown[] {
    const changes: unknown[] = [];
    server.use(
      http.patch('*/api/sessions/local/:id', async ({ request }) => {
        const body = (await request.json()) as { proxy: unknown };
        changes.push(body);
        return answer(body.proxy);
      }),
    );
    return changes;
  }

  async function openDialog(session: Session) {
    const opened = open(session);
    await opened.user.click(screen.getByRole('button', { name: 'Change exit' }));
    const dialog = within(screen.getByRole('dialog'));
    const confirm = () => opened.user.click(dialog.getByRole('button', { name: 'Change exit' }));
    return { ...opened, dialog, confirm };
  }

  it('sends the new one, and shows it', async () => {
    const session = aSession({ proxy: POOL });
    const shown = { server: 'socks5://a.test:1080', pool: null };
    const changes = recordChanges(() => HttpResponse.json({ ...session, proxy: shown }));
    const { user, dialog, confirm } = await openDialog(session);
    const proxy = dialog.getByLabelText('Proxy');
    expect(proxy).toHaveDisplayValue('eu');
    expect(
      within(proxy)
        .getAllByRole('option')
        .map((option) => option.textContent),
    ).toEqual(['Default: Direct', 'None: direct connections', 'eu', 'us', 'Own proxy…']);
    await user.selectOptions(proxy, 'Own proxy…');
    await user.click(dialog.getByLabelText('Proxy server'));
    await user.paste('socks5://me:s3%20cret@a.test:1080');
    expect(dialog.getByLabelText('Proxy server')).toHaveValue('socks5://a.test:1080');
    expect(dialog.getByLabelText('User name')).toHaveValue('me');
    expect(dialog.getByLabelText('Password')).toHaveAttribute('type', 'password');
    await user.type(dialog.getByLabelText('Hosts without the proxy'), '.b.test');
    await confirm();
    expect(
      await screen.findByText('Session 3f2b8c1e leaves through socks5://a.test:1080 now.'),
    ).toBeInTheDocument();
    expect(changes).toEqual([
      {
        proxy: {
          server: 'socks5://a.test:1080',
          username: 'me',
          password: 's3 cret',
          bypass: '.b.test',
        },
      },
    ]);
    expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
    expect(fact('Exit')).toHaveTextContent('socks5://a.test:1080');
  });

  it('is checked first on request, by the worker of the session', async () => {
    const checked: unknown[] = [];
    server.use(
      http.post('*/api/proxies/check', async ({ request }) => {
        checked.push(await request.json());
        return refusal(409, 'no_exit_ip_url', 'no');
      }),
    );
    // A worker that does not answer may be able to.
    const { stream, user, dialog } = await openDialog(aSession({ proxy: POOL }));
    expect(dialog.getByRole('button', { name: 'Check' })).toBeDisabled();
    act(() => {
      const workers = [{ ...healthyWorker, detail: { error: 'no answer' } }];
      stream.send({ name: 'snapshot', data: { sessions: [], workers } });
    });
    await waitFor(() => {
      expect(dialog.getByRole('button', { name: 'Check' })).toBeEnabled();
    });
    await user.click(dialog.getByRole('button', { name: 'Check' }));
    expect(await dialog.findByText(/set RUNNER_EXIT_IP_URL/)).toBeInTheDocument();
    expect(checked).toEqual([{ proxy: 'eu', worker: 'local' }]);
  });

  it('sends null for the default', async () => {
    const session = aSession({ proxy: POOL });
    const changes = recordChanges(() => HttpResponse.json({ ...session, proxy: null }));
    const { user, dialog, confirm } = await openDialog(session);
    await user.selectOptions(dialog.getByLabelText('Proxy'), 'Default: Direct');
    await confirm();
    expect(await screen.findByText('Session 3f2b8c1e connects directly now.')).toBeInTheDocument();
    expect(changes).toEqual([{ proxy: null }]);
  });

  it('begins with the present proxy, and says that its credentials are not known', async () => {
    const { dialog } = await openDialog(
      aSession({ proxy: { server: 'http://a.test:3128', pool: null } }),
    );
    expect(dialog.getByLabelText('Proxy server')).toHaveValue('http://a.test:3128');
    expect(dialog.getByLabelText('Password')).toHaveValue('');
    expect(dialog.getByText(/enter them again/)).toBeInTheDocument();
  });

  it('shows what is wrong at its field, and forgets it with the next input', async () => {
    const refused = 'proxy: must have destinations in \'bypass\': "a b" is none';
    const changes = recordChanges(() => refusal(422, 'invalid_field', refused) as Response);
    const { user, dialog, confirm } = await openDialog(aSession());
    await user.selectOptions(dialog.getByLabelText('Proxy'), 'Own proxy…');
    await confirm();
    const address = dialog.getByLabelText('Proxy server');
    expect(address).toHaveAccessibleDescription('Enter the address of the proxy.');
    expect(address).toHaveFocus();
    expect(changes).toEqual([]);

    await user.type(address, 'me:pw@a.test:1');
    const bypass = dialog.getByLabelText('Hosts without the proxy');
    await user.type(bypass, 'a b');
    expect(address).toHaveValue('a.test:1');
    await confirm();
    await waitFor(() => {
      expect(bypass).toHaveAccessibleDescription(refused);
    });
    expect(bypass).toHaveFocus();
    expect(bypass).toBeInvalid();
    await user.type(bypass, 'c');
    expect(bypass).toBeValid();
  });

  it('explains that the machine can’t, and shows other errors below', async () => {
    let answer = refusal(502, 'no_egress', 'the worker can’t');
    recordChanges(() => answer as Response);
    const { dialog, confirm } = await openDialog(aSession({ proxy: POOL }));
    await confirm();
    await waitFor(() => {
      expect(dialog.getByLabelText('Proxy')).toHaveAccessibleDescription(/current camofleet/);
    });
    answer = refusal(409, 'session_not_ready', 'the session is ending');
    await confirm();
    expect(await dialog.findByRole('alert')).toHaveTextContent('the session is ending');
  });

  it('can’t be confirmed twice while it is running', async () => {
    const session = aSession({ proxy: POOL });
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const changes = recordChanges(async () => {
      await finished;
      return HttpResponse.json(session);
    });
    const { dialog, confirm } = await openDialog(session);
    await confirm();
    expect(dialog.getByRole('button', { name: 'Changing…' })).toBeDisabled();
    finish();
    await waitFor(() => {
      expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
    });
    expect(changes).toHaveLength(1);
  });
});

import { cleanup, screen, waitFor, within } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { type ReactNode, useState } from 'react';
import { describe, expect, it } from 'vitest';

import type { EgressFacts, ProxyCheck, WorkerStatus } from '../api/types.ts';
import { useFleet } from '../hooks/fleet.ts';
import { language } from '../i18n/language.ts';
import { DEFAULT_PROXY, type ProxyDraft } from '../live/proxyDraft.ts';
import { renderPage, Stream } from '../test/renderPage.tsx';
import { aWorkerWith, healthyWorker, refusal, server } from '../test/server.ts';
import { ProxyFields } from './ProxyFields.tsx';

const EGRESS: EgressFacts = {
  policy: 'no-fleet',
  proxies: ['eu'],
  default_proxy: null,
  block_lists: [],
  default_block: [],
  checks_proxies: true,
  city_database: 'city ipv4 of 2026-06-05',
};
const local = aWorkerWith('local', {}, EGRESS);
const OWN: ProxyDraft = {
  ...DEFAULT_PROXY,
  kind: 'own',
  server: 'socks5://a.test:1080',
  username: 'me',
  password: 's3cret',
};
const BERLIN: ProxyCheck = {
  ok: true,
  exit_ip: '192.0.2.7',
  country: 'DE',
  city: 'Berlin',
  location: { latitude: 52.5, longitude: 13.4, accuracy: 5000 },
  timezone: 'Europe/Berlin',
  latency_ms: 84,
  error: null,
  code: null,
};
const FAILED: ProxyCheck = {
  ok: false,
  exit_ip: null,
  country: null,
  city: null,
  location: null,
  timezone: null,
  latency_ms: null,
  error: 'the proxy requires another user name or password',
  code: 'proxy_denied',
};

/** The API's checks: what was requested, and which requests were cancelled. */
class Checks {
  answer: () => Response | Promise<Response> = () => HttpResponse.json(BERLIN);
  bodies: unknown[] = [];
  cancelled = 0;

  constructor() {
    server.use(
      http.post('*/api/proxies/check', async ({ request }) => {
        request.signal.addEventListener('abort', () => (this.cancelled += 1));
        this.bodies.push(await request.json());
        return this.answer();
      }),
    );
  }

  /** Answers nothing until the function is called that this returns. */
  hold(): () => void {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    this.answer = async () => {
      await held;
      return HttpResponse.json(BERLIN);
    };
    return release;
  }
}

function Form({ start, worker }: { start: ProxyDraft; worker: string }): ReactNode {
  const [draft, setDraft] = useState(start);
  const { workers } = useFleet();
  if (workers.length === 0) return null;
  return <ProxyFields draft={draft} workers={workers} worker={worker} onChange={setDraft} />;
}

interface FormOptions {
  draft?: ProxyDraft;
  worker?: string;
  workers?: WorkerStatus[];
}

/** Shows the fields of a form in a fleet with these workers. */
async function open({ draft = OWN, worker = '', workers = [local] }: FormOptions = {}) {
  const checks = new Checks();
  const stream = new Stream({ name: 'snapshot', data: { sessions: [], workers } });
  const page = <Form start={draft} worker={worker} />;
  const user = renderPage({ pattern: '/', at: '/', page });
  const group = within(
    await screen.findByRole('group', { name: /^(Proxy check|Проверка прокси)$/ }),
  );
  const button = group.getByRole('button');
  const result = group.getByRole('status');
  return { checks, stream, user, group, button, result };
}

describe('a proxy that works', () => {
  it('is shown with its address, place, time zone and latency', async () => {
    const { checks, user, button, result } = await open();
    expect(button).toHaveAccessibleName('Check');
    expect(button).toHaveAccessibleDescription(/shows where sites see the connection come from/);
    expect(result).toBeEmptyDOMElement();
    await user.click(button);
    await waitFor(() => {
      expect(result).toHaveTextContent('Works');
    });
    const facts = within(result).getAllByRole('definition');
    const terms = within(result).getAllByRole('term');
    expect(terms.map(({ textContent }) => textContent)).toEqual([
      'Exit address',
      'Place',
      'Time zone',
      'Latency',
    ]);
    expect(facts.map(({ textContent }) => textContent)).toEqual([
      '192.0.2.7',
      'DEGermany, Berlin',
      'Europe/Berlin',
      '84 ms',
    ]);
    expect(result).toHaveTextContent(/^((?!Checked by).)*$/);
    const { server: address, username, password } = OWN;
    expect(checks.bodies).toEqual([
      { proxy: { server: address, username, password }, worker: 'local' },
    ]);
  });

  it('is shown in the panel’s language', async () => {
    const { user, button, result } = await open();
    language.set('ru');
    await waitFor(() => {
      expect(button).toHaveAccessibleName('Проверить');
    });
    await user.click(button);
    await waitFor(() => {
      expect(result).toHaveTextContent('Германия, Berlin');
    });
    expect(result).toHaveTextContent('84 мс');
  });

  it.each([
    ['city ipv4 of 2026-06-05', true],
    ['DBIP-City-Lite of 2026-06-05', true],
    ['GeoLite2-City of 2026-06-05', false],
  ])('credits DB-IP for a place from %s: %s', async (database, credited) => {
    const worker = aWorkerWith('local', {}, { ...EGRESS, city_database: database });
    const { user, button, result } = await open({ workers: [worker] });
    await user.click(button);
    await waitFor(() => {
      expect(result).toHaveTextContent('Germany');
    });
    const link = within(result).queryByRole('link', { name: 'IP Geolocation by DB-IP' });
    if (credited) expect(link).toHaveAttribute('href', 'https://db-ip.com');
    else expect(link).not.toBeInTheDocument();
  });

  it.each([
    ['test cities', 'The city database does not have this address.'],
    [null, 'Places need a city database on the worker.'],
  ])('may have no place: database %s', async (database, remark) => {
    const worker = aWorkerWith('local', {}, { ...EGRESS, city_database: database });
    const { checks, user, button, result } = await open({ workers: [worker] });
    checks.answer = () =>
      HttpResponse.json({ ...BERLIN, country: null, city: null, timezone: null });
    await user.click(button);
    await waitFor(() => {
      expect(result).toHaveTextContent(remark);
    });
    expect(within(result).queryByRole('link')).not.toBeInTheDocument();
    expect(within(result).queryByText('Place')).not.toBeInTheDocument();
  });

  it('names a city that is a country once', async () => {
    const { checks, user, button, result } = await open();
    checks.answer = () => HttpResponse.json({ ...BERLIN, country: 'SG', city: 'Singapore' });
    await user.click(button);
    await waitFor(() => {
      expect(within(result).getAllByRole('definition')[1]).toHaveTextContent(/^SGSingapore$/);
    });
  });
});

describe('a proxy that does not work', () => {
  it.each([
    ['a code', FAILED, 'FailsProxy refused user name or password'],
    [
      'a code this panel does not know',
      { ...FAILED, code: 'haunted', error: 'it is haunted' },
      'Failsit is haunted',
    ],
    ['no code, from an earlier version', { ...FAILED, code: null }, `Fails${FAILED.error ?? ''}`],
    [
      'what each service said',
      { ...FAILED, code: 'service_failed', error: 'a.test: no answer within 8.0 s' },
      'FailsNo service named the address of the exit: a.test: no answer within 8.0 s',
    ],
  ])('has a reason with %s', async (_, answer, text) => {
    const { checks, user, button, result } = await open();
    checks.answer = () => HttpResponse.json(answer);
    await user.click(button);
    await waitFor(() => {
      expect(result.textContent).toBe(text);
    });
  });

  it('has its reason in the panel’s language', async () => {
    const { checks, user, button, result } = await open();
    checks.answer = () => HttpResponse.json(FAILED);
    language.set('ru');
    await user.click(button);
    await waitFor(() => {
      expect(result).toHaveTextContent('Прокси не принял логин или пароль');
    });
  });
});

describe('a check without a result', () => {
  it.each([
    [409, 'no_exit_ip_url', 'no', /set RUNNER_EXIT_IP_URL/],
    [502, 'no_egress', 'no', /current camofleet/],
    [503, 'busy', 'no', /Too many checks/],
    [404, 'worker_not_found', 'no', /left the fleet/],
    [422, 'invalid_field', 'proxy: must be a URL', /^proxy: must be a URL$/],
    [500, 'haunted', 'it is haunted', /^it is haunted$/],
    [500, 'haunted', '', /^The API answered with status 500\.$/],
  ])('says why: %i %s', async (status, code, detail, text) => {
    const { checks, user, button, result } = await open();
    checks.answer = () => refusal(status, code, detail) as Response;
    await user.click(button);
    await waitFor(() => {
      expect(result).toHaveTextContent(text);
    });
    expect(result).not.toHaveTextContent('Fails');
    expect(button).toHaveAccessibleName('Check');
  });

  it('says that the API can’t be reached', async () => {
    const { checks, user, button, result } = await open();
    checks.answer = () => HttpResponse.error();
    await user.click(button);
    await waitFor(() => {
      expect(result).toHaveTextContent('The API can’t be reached.');
    });
  });
});

describe('a check that is running', () => {
  it('is announced, and can be stopped from the keyboard', async () => {
    const { checks, user, button, result } = await open();
    const release = checks.hold();
    button.focus();
    await user.keyboard('{Enter}');
    expect(result).toHaveTextContent('Checking…');
    expect(result).toHaveAttribute('aria-busy', 'true');
    expect(button).toHaveAccessibleName('Stop');
    expect(button).toHaveFocus();
    await waitFor(() => {
      expect(checks.bodies).toHaveLength(1);
    });
    await user.keyboard('{Enter}');
    expect(result).toBeEmptyDOMElement();
    expect(button).toHaveAccessibleName('Check');
    expect(button).toHaveFocus();
    await waitFor(() => {
      expect(checks.cancelled).toBe(1);
    });
    release();
  });

  it('is cancelled when the proxy changes, and when the form closes', async () => {
    const { checks, user, button, result } = await open();
    const release = checks.hold();
    await user.click(button);
    await waitFor(() => {
      expect(checks.bodies).toHaveLength(1);
    });
    await user.type(screen.getByLabelText('Password'), '!');
    expect(result).toBeEmptyDOMElement();
    await waitFor(() => {
      expect(checks.cancelled).toBe(1);
    });
    await user.click(button);
    await waitFor(() => {
      expect(checks.bodies).toHaveLength(2);
    });
    release();
    await waitFor(() => {
      expect(result).toHaveTextContent('Works');
    });
    expect(checks.cancelled).toBe(1);
    checks.hold();
    await user.click(button);
    await waitFor(() => {
      expect(checks.bodies).toHaveLength(3);
    });
    cleanup();
    await waitFor(() => {
      expect(checks.cancelled).toBe(2);
    });
  });
});

it('drops a result when the proxy changes, also if it is changed back', async () => {
  const { user, button, result } = await open();
  await user.click(button);
  await waitFor(() => {
    expect(result).toHaveTextContent('Works');
  });
  await user.type(screen.getByLabelText('Password'), '!');
  expect(result).toBeEmptyDOMElement();
  await user.type(screen.getByLabelText('Password'), '{Backspace}');
  expect(result).toBeEmptyDOMElement();
});

it('keeps a result when only the address is separated from its credentials', async () => {
  const draft = { ...OWN, server: 'me:s3cret@a.test', username: '', password: '' };
  const { checks, user, result, button } = await open({ draft });
  await user.click(button);
  await waitFor(() => {
    expect(result).toHaveTextContent('Works');
  });
  await user.click(screen.getByLabelText('Proxy server'));
  await user.tab();
  expect(screen.getByLabelText('Proxy server')).toHaveValue('a.test');
  expect(result).toHaveTextContent('Works');
  expect(checks.bodies).toEqual([
    { proxy: { server: 'a.test', username: 'me', password: 's3cret' }, worker: 'local' },
  ]);
});

it('says what is missing before it asks', async () => {
  const { checks, user, button } = await open({ draft: { ...OWN, server: '' } });
  await user.click(button);
  const address = screen.getByLabelText('Proxy server');
  expect(address).toHaveAccessibleDescription('Enter the address of the proxy.');
  expect(address).toHaveFocus();
  expect(checks.bodies).toEqual([]);
});

it('keeps credentials nowhere', async () => {
  const { user, button, result } = await open();
  await user.click(button);
  await waitFor(() => {
    expect(result).toHaveTextContent('Works');
  });
  const stored = [localStorage, sessionStorage].flatMap((storage) => Object.entries(storage));
  expect(JSON.stringify(stored) + window.location.href).not.toContain('s3cret');
});

describe('where proxies can’t be checked', () => {
  const mute = (name: string) => aWorkerWith(name, {}, { ...EGRESS, checks_proxies: false });

  it.each([
    [
      'a fleet',
      { workers: [mute('local')] },
      'This fleet can’t check proxies: set RUNNER_EXIT_IP_URL.',
    ],
    [
      'a fleet whose only worker is named',
      { workers: [mute('local')], worker: 'local' },
      'This fleet can’t check proxies: set RUNNER_EXIT_IP_URL.',
    ],
    [
      'one worker of several',
      { workers: [local, mute('west')], worker: 'west' },
      'The worker west can’t check proxies: set RUNNER_EXIT_IP_URL there.',
    ],
  ])('%s says what to set', async (_, options, text) => {
    const { button, group } = await open(options);
    expect(button).toBeDisabled();
    expect(button).toHaveAccessibleDescription(text);
    expect(group.getByText(text)).toBeInTheDocument();
  });

  it('an original worker says that it needs the current camofleet', async () => {
    const { button } = await open({ workers: [healthyWorker] });
    expect(button).toBeDisabled();
    expect(button).toHaveAccessibleDescription(/current camofleet/);
  });
});

describe('the worker that checks', () => {
  const east = aWorkerWith('east', {}, { ...EGRESS, checks_proxies: false });
  const west = aWorkerWith('west', {}, { ...EGRESS, proxies: ['us'] });
  const silent = { ...healthyWorker, name: 'silent', detail: { error: 'no answer' } };
  const pool = (name: string): ProxyDraft => ({ ...DEFAULT_PROXY, kind: 'pool', pool: name });

  it.each([
    [
      'can check, and is shown',
      DEFAULT_PROXY,
      '',
      [east, west],
      { worker: 'west' },
      'Checked by worker west.',
    ],
    [
      'has the pool',
      pool('us'),
      '',
      [east, west],
      { proxy: 'us', worker: 'west' },
      'Checked by worker west.',
    ],
    ['is the named one', DEFAULT_PROXY, 'west', [east, west], { worker: 'west' }, 'Works'],
    ['is the API’s choice if none is known', DEFAULT_PROXY, '', [silent], {}, 'Works'],
  ])('%s', async (_, draft, worker, workers, body, text) => {
    const { checks, user, button, result } = await open({ draft, worker, workers });
    await user.click(button);
    await waitFor(() => {
      expect(result).toHaveTextContent(text);
    });
    expect(checks.bodies).toEqual([body]);
  });

  it('must have the pool, even if it can’t check', async () => {
    const { button } = await open({ draft: pool('eu'), workers: [east, west] });
    expect(button).toBeDisabled();
  });
});

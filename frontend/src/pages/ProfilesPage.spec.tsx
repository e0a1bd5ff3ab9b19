import { act, fireEvent, screen, waitFor, within } from '@testing-library/react';
import { delay, http, HttpResponse } from 'msw';
import { describe, expect, it, vi } from 'vitest';

import type { Profile } from '../api/types.ts';
import { language } from '../i18n/language.ts';
import * as download from '../ui/download.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import {
  aProfile,
  aSession,
  aWorkerWith,
  NOBODY,
  refusal,
  server,
  serveFleet,
  type FakeFleet,
} from '../test/server.ts';

const SESSION = 'aaaaaaaa-0000-4000-8000-000000000001';
const VIENNA = {
  ...NOBODY,
  locale: ['de-AT', 'de'],
  timezone: 'Europe/Vienna',
  screen: { width: 1366, height: 768 },
};
const anna = aProfile({
  name: 'anna',
  identity: VIENNA,
  labels: { team: 'shop' },
  notes: 'buys shoes',
  proxy: { server: 'socks5://proxy.example:1080', pool: null },
  size_bytes: 12_300_000,
  last_used_at: new Date().toISOString(),
});
const bob = aProfile({ id: 'b', name: 'bob', labels: { team: 'qa' } });

function openPage(profiles: Profile[], path = '/profiles') {
  const fleet = serveFleet(aSession({ id: SESSION, profile: 'anna', profile_mode: 'write' }));
  fleet.profiles = profiles;
  return { fleet, user: renderPanel({ path }) };
}

const row = (name: string) => screen.findByRole('row', { name: new RegExp(`^${name}`) });

async function choose(user: ReturnType<typeof renderPanel>, name: string, action: string) {
  await user.click(await screen.findByRole('button', { name: `Actions on ${name}` }));
  await user.click(await screen.findByRole('menuitem', { name: action }));
}

/** Records the bodies of requests of one kind, and answers them. */
function record(
  method: 'post' | 'patch' | 'put' | 'delete',
  path: string,
  answer: () => Response,
): { query: string; body: string; type: string | null }[] {
  const requests: { query: string; body: string; type: string | null }[] = [];
  server.use(
    http[method](path, async ({ request }) => {
      const type = request.headers.get('Content-Type');
      requests.push({ query: new URL(request.url).search, body: await request.text(), type });
      return answer();
    }),
  );
  return requests;
}

function checked(result: object) {
  return record('post', '*/api/proxies/check', () =>
    HttpResponse.json({
      ok: true,
      exit_ip: '192.0.2.1',
      country: 'AT',
      city: 'Vienna',
      location: null,
      timezone: 'Europe/Vienna',
      latency_ms: 42,
      error: null,
      code: null,
      ...result,
    }),
  );
}

const nothing = () => new HttpResponse(null, { status: 204 });

describe('the list', () => {
  it('shows who a profile is, what it has, and who uses it', async () => {
    const used = {
      session: SESSION,
      worker: 'what-it-calls-itself',
      since: new Date().toISOString(),
    };
    openPage([
      { ...anna, used_by: used },
      { ...bob, recovered: true, stale: true },
    ]);
    const first = within(await row('anna'));
    expect(first.getByText('buys shoes')).toBeInTheDocument();
    expect(first.getByRole('img', { name: 'Austria' })).toBeInTheDocument();
    expect(first.getByText(/de-AT, de · Europe\/Vienna/)).toBeInTheDocument();
    expect(first.getByText('1366×768 · firefox')).toBeInTheDocument();
    expect(first.getByText('proxy.example:1080')).toBeInTheDocument();
    expect(first.getByText('team=shop')).toBeInTheDocument();
    expect(first.getByText('12.3 MB')).toBeInTheDocument();
    expect(first.getByRole('link', { name: 'Session aaaaaaaa' })).toHaveAttribute(
      'href',
      `#/sessions/local/${SESSION}`,
    );
    const second = within(await row('bob'));
    expect(second.getByText('recovered')).toBeInTheDocument();
    expect(second.getByText('stale')).toBeInTheDocument();
    expect(second.getByText('never')).toBeInTheDocument();
    expect(second.getByText('None of its own')).toBeInTheDocument();
  });

  it('is searched, filtered by label, and narrowed to the profile of a link', async () => {
    const { user } = openPage([anna, bob]);
    await row('bob');
    await user.type(screen.getByRole('searchbox', { name: 'Search profiles' }), 'vienna shoes');
    await waitFor(() => {
      expect(screen.queryByRole('row', { name: /^bob/ })).not.toBeInTheDocument();
    });
    expect(screen.getByText('1 of 2')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Clear' }));
    await user.selectOptions(screen.getByRole('combobox', { name: 'Label' }), 'team=qa');
    await waitFor(() => {
      expect(screen.queryByRole('row', { name: /^anna/ })).not.toBeInTheDocument();
    });
    await user.type(screen.getByRole('searchbox', { name: 'Search profiles' }), 'nobody');
    expect(await screen.findByText('No profile matches')).toBeInTheDocument();
  });

  it('shows the one profile that a link names', async () => {
    const { user } = openPage([anna, bob], '/profiles?profile=bob');
    await row('bob');
    expect(screen.getByText('Only bob')).toBeInTheDocument();
    expect(screen.queryByRole('row', { name: /^anna/ })).not.toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Clear' }));
    expect(await row('anna')).toBeInTheDocument();
  });

  it('is sorted by a column, in both directions', async () => {
    const { user } = openPage([anna, bob]);
    await row('anna');
    const order = () =>
      within(screen.getByRole('table'))
        .getAllByRole('row')
        .slice(1)
        .map((one) => one.textContent);
    await user.click(screen.getByRole('button', { name: 'Size' }));
    expect(order()[0]).toMatch(/^bob/);
    await user.click(screen.getByRole('button', { name: 'Size' }));
    expect(order()[0]).toMatch(/^anna/);
    expect(screen.getByRole('columnheader', { name: 'Size' })).toHaveAttribute(
      'aria-sort',
      'descending',
    );
  });

  it('renders only the rows in view of thousands', async () => {
    openPage(Array.from({ length: 3000 }, (_, id) => aProfile({ id: `${id}`, name: `p${id}` })));
    expect(await screen.findByText('3,000')).toBeInTheDocument();
    expect(screen.getByRole('table')).toHaveAttribute('aria-rowcount', '3001');
    expect(screen.getAllByRole('row').length).toBeLessThan(60);
  });

  it('explains what a profile is when there is none', async () => {
    const { user } = openPage([]);
    expect(await screen.findByText('There is no profile yet')).toBeInTheDocument();
    expect(screen.getByText(/identity that does not change/)).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Make the first profile' }));
    expect(await screen.findByRole('dialog', { name: 'New profile' })).toBeInTheDocument();
  });

  it('is read again when a session with a profile begins or ends, and says what the API refuses', async () => {
    const { fleet } = openPage([anna]);
    await row('anna');
    const before = fleet.profileReads;
    act(() => {
      fleet.emitChange('ready', aSession({ id: 'cccccccc-1', profile: null }));
      fleet.emitChange('ready', aSession({ id: 'dddddddd-1', profile: 'anna' }));
    });
    await waitFor(() => {
      expect(fleet.profileReads).toBe(before + 1);
    });
  });

  it('is polled while the page is visible only', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const { fleet } = openPage([anna]);
      await row('anna');
      expect(fleet.profileReads).toBe(1);
      const show = (state: DocumentVisibilityState) => {
        vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state);
        act(() => {
          document.dispatchEvent(new Event('visibilitychange'));
          vi.advanceTimersByTime(6000);
        });
      };
      show('hidden');
      show('hidden');
      expect(fleet.profileReads).toBe(1);
      show('visible');
      // Waiting needs the real ones.
      vi.useRealTimers();
      await waitFor(() => {
        expect(fleet.profileReads).toBe(2);
      });
    } finally {
      vi.useRealTimers();
    }
  });

  it('follows the language', async () => {
    openPage([{ ...anna, recovered: true }]);
    await row('anna');
    act(() => {
      language.set('ru');
    });
    expect(await screen.findByText('восстановлен')).toBeInTheDocument();
    expect(screen.getByRole('columnheader', { name: 'Личность' })).toBeInTheDocument();
    expect(screen.getByRole('img', { name: 'Австрия' })).toBeInTheDocument();
  });
});

describe('the check of an exit', () => {
  const check = async (user: ReturnType<typeof renderPanel>) =>
    user.click(await screen.findByRole('button', { name: 'Check the exit of anna' }));

  it('is green where the place fits the identity, and is made by the profile’s worker', async () => {
    const requests = checked({});
    const { user } = openPage([anna]);
    await check(user);
    const fits = await screen.findByText('Fits');
    expect(fits).toHaveClass('good');
    expect(screen.getByText(/Austria, Vienna, Europe\/Vienna, 192\.0\.2\.1/)).toBeInTheDocument();
    expect(requests.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { profile: 'anna', worker: 'local' },
    ]);
  });

  it('is amber where it contradicts the identity, with what', async () => {
    checked({ country: 'US', city: 'New York', timezone: 'America/New_York' });
    const { user } = openPage([anna]);
    await check(user);
    expect(await screen.findByText('Contradicts')).toHaveClass('busy');
    const text = screen.getByText(/languages de-AT, de, but the exit is in United States/);
    expect(text).toHaveTextContent('time zone Europe/Vienna, but the exit has America/New_York');
  });

  it('is red where the proxy fails, and where nothing could be checked', async () => {
    checked({ ok: false, exit_ip: null, country: null, timezone: null, code: 'proxy_denied' });
    const { user } = openPage([anna]);
    await check(user);
    expect(await screen.findByText('Fails')).toHaveClass('bad');
    server.use(
      http.post('*/api/proxies/check', () => refusal(409, 'no_exit_ip_url', 'set something')),
    );
    await check(user);
    expect(await screen.findByText('Not checked')).toHaveClass('bad');
    expect(screen.getByText(/set RUNNER_EXIT_IP_URL there/)).toBeInTheDocument();
  });
});

describe('making and changing', () => {
  it('makes a profile with its identity, proxy, labels and notes', async () => {
    const requests = record('post', '*/api/profiles', () =>
      HttpResponse.json(aProfile({ name: 'dora' }), { status: 201 }),
    );
    const { user } = openPage([anna]);
    await user.click(await screen.findByRole('button', { name: 'New profile' }));
    const dialog = within(await screen.findByRole('dialog', { name: 'New profile' }));
    const make = () => user.click(dialog.getByRole('button', { name: 'Make profile' }));
    await make();
    expect(dialog.getByLabelText('Name')).toHaveFocus();
    expect(dialog.getByLabelText('Name')).toHaveAccessibleDescription('A profile needs a name.');
    await user.type(dialog.getByLabelText('Name'), 'dora');
    await user.type(dialog.getByLabelText('Languages'), 'de-AT, de');
    await user.type(dialog.getByLabelText('Screen, pixels'), '1366x768');
    await user.selectOptions(dialog.getByLabelText('Proxy'), 'direct');
    await user.click(dialog.getByRole('button', { name: 'Add label' }));
    await user.type(dialog.getByLabelText('Key of label 1'), 'team');
    await user.type(dialog.getByLabelText('Value of label 1'), 'qa');
    await user.type(dialog.getByLabelText('Notes'), 'new here');
    await make();
    expect(await screen.findByText('Profile dora made.')).toBeInTheDocument();
    expect(requests.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      {
        name: 'dora',
        labels: { team: 'qa' },
        notes: 'new here',
        locale: ['de-AT', 'de'],
        screen: { width: 1366, height: 768 },
        proxy: 'direct',
      },
    ]);
  });

  it('shows at the name that it is taken, in the current language', async () => {
    server.use(http.post('*/api/profiles', () => refusal(409, 'profile_exists', "'bob' exists")));
    const { user } = openPage([bob]);
    await user.click(await screen.findByRole('button', { name: 'New profile' }));
    act(() => {
      language.set('ru');
    });
    const dialog = within(await screen.findByRole('dialog', { name: 'Новый профиль' }));
    await user.type(dialog.getByLabelText('Имя'), 'bob{Enter}');
    await waitFor(() => {
      expect(dialog.getByLabelText('Имя')).toHaveAccessibleDescription(
        "Имя уже занято: 'bob' exists",
      );
    });
  });

  it('changes labels and notes, and leaves a proxy that was not touched', async () => {
    const requests = record('patch', '*/api/profiles/anna', () => HttpResponse.json(anna));
    const { user } = openPage([anna]);
    await choose(user, 'anna', 'Edit…');
    const dialog = within(await screen.findByRole('dialog', { name: 'Edit anna' }));
    expect(dialog.getByLabelText('Proxy')).toHaveDisplayValue(
      'The profile’s: socks5://proxy.example:1080',
    );
    await user.clear(dialog.getByLabelText('Notes'));
    await user.type(dialog.getByLabelText('Value of label 1'), '-2');
    await user.click(dialog.getByRole('button', { name: 'Save' }));
    expect(await screen.findByText('Profile anna changed.')).toBeInTheDocument();
    expect(requests).toMatchObject([{ query: '?worker=local' }]);
    expect(JSON.parse(requests[0]?.body ?? '')).toEqual({ labels: { team: 'shop-2' }, notes: '' });
  });

  it('clones a profile as somebody else', async () => {
    const requests = record('post', '*/api/profiles/anna/clone', () =>
      HttpResponse.json(aProfile({ name: 'ann' }), { status: 201 }),
    );
    const { user } = openPage([anna]);
    await choose(user, 'anna', 'Clone…');
    const dialog = within(await screen.findByRole('dialog', { name: 'Clone anna' }));
    const name = dialog.getByLabelText('Name of the clone');
    expect(name).toHaveValue('anna-2');
    await user.clear(name);
    await user.type(name, 'ann');
    await user.click(dialog.getByRole('radio', { name: /A new one/ }));
    await user.click(dialog.getByRole('button', { name: 'Clone' }));
    expect(await screen.findByText('anna cloned as ann.')).toBeInTheDocument();
    expect(JSON.parse(requests[0]?.body ?? '')).toEqual({ name: 'ann', identity: 'new' });
  });

  it('deletes a profile only when its name was typed, and says why it can’t', async () => {
    let answer = () => refusal(409, 'profile_in_use', 'in use by session 1');
    const requests = record('delete', '*/api/profiles/anna', () => answer());
    const { user } = openPage([anna]);
    await choose(user, 'anna', 'Delete…');
    const dialog = within(await screen.findByRole('dialog', { name: 'Delete anna?' }));
    const confirm = dialog.getByRole('button', { name: 'Delete profile' });
    const field = dialog.getByLabelText('Type anna to confirm');
    await user.type(field, 'ann{Enter}');
    expect(confirm).toBeDisabled();
    expect(requests).toEqual([]);
    await user.type(field, 'a{Enter}');
    expect(await dialog.findByRole('alert')).toHaveTextContent('in use by session 1');
    answer = nothing as typeof answer;
    await user.click(confirm);
    expect(await screen.findByText('Profile anna deleted.')).toBeInTheDocument();
    expect(requests).toHaveLength(2);
  });

  it('opens the launch form with the profile', async () => {
    const { user } = openPage([anna]);
    await user.click(await screen.findByRole('button', { name: 'Launch a session with anna' }));
    const dialog = within(await screen.findByRole('dialog', { name: 'Launch a session' }));
    expect(dialog.getByLabelText('Profile')).toHaveValue('anna');
  });
});

describe('archives', () => {
  const archive = (name: string, size = 10) =>
    new File([new Uint8Array(size)], name, { type: 'application/zstd' });

  function recordImports(fleet: FakeFleet) {
    return record('post', '*/api/profiles/import', () => {
      fleet.profiles = [anna, aProfile({ id: 'd', name: 'dora' })];
      return HttpResponse.json(aProfile({ name: 'dora' }), { status: 201 });
    });
  }

  it('imports a file under its name, with a name that is free', async () => {
    const { fleet, user } = openPage([anna]);
    const requests = recordImports(fleet);
    await row('anna');
    await user.upload(screen.getByTestId('import-files'), [
      archive('dora.tar.zst'),
      archive('anna.tar.zst'),
    ]);
    const dialog = within(await screen.findByRole('dialog', { name: 'Import 2 profiles' }));
    expect(dialog.getByLabelText('Name of the profile from dora.tar.zst')).toHaveValue('dora');
    const second = dialog.getByLabelText('Name of the profile from anna.tar.zst');
    expect(second).toHaveValue('anna-2');
    await user.clear(second);
    await user.type(second, 'anna');
    await user.click(dialog.getByRole('button', { name: 'Import' }));
    expect(second).toHaveAccessibleDescription('There is a profile anna already.');
    await user.type(second, '-3');
    await user.click(dialog.getByRole('button', { name: 'Import' }));
    expect(await screen.findAllByText(/^Imported, /)).toHaveLength(2);
    expect(await row('dora')).toBeInTheDocument();
    expect(requests.map(({ query, type }) => [query, type])).toEqual([
      ['?name=dora', 'application/zstd'],
      ['?name=anna-3', 'application/zstd'],
    ]);
  });

  it('imports a dropped file, and says why it was refused', async () => {
    server.use(
      http.post('*/api/profiles/import', () =>
        refusal(422, 'invalid_archive', 'the body is not an archive'),
      ),
    );
    const { user } = openPage([anna]);
    await row('anna');
    const dataTransfer = { types: ['Files'], files: [archive('eve.tar.zst')] };
    fireEvent.dragOver(document.body, { dataTransfer });
    expect(screen.getByText('Drop to import')).toBeInTheDocument();
    fireEvent.drop(document.body, { dataTransfer });
    expect(screen.queryByText('Drop to import')).not.toBeInTheDocument();
    await user.click(
      within(await screen.findByRole('dialog')).getByRole('button', { name: 'Import' }),
    );
    expect(await screen.findByText('the body is not an archive')).toHaveClass('problem');
    await user.click(screen.getByRole('button', { name: 'Dismiss the transfer of eve' }));
    expect(screen.queryByText('Import of eve')).not.toBeInTheDocument();
  });

  it('exports a profile as a file', async () => {
    const saved = vi.spyOn(download, 'saveFile').mockReturnValue();
    const bytes = new Uint8Array(2500);
    server.use(
      http.get('*/api/profiles/anna/archive', () =>
        HttpResponse.arrayBuffer(bytes.buffer, { headers: { 'Content-Type': 'application/zstd' } }),
      ),
    );
    const { user } = openPage([anna]);
    await choose(user, 'anna', 'Export');
    expect(await screen.findByText(/^Saved, 2\.5 kB/)).toBeInTheDocument();
    const [blob, name] = saved.mock.calls[0] ?? [];
    expect(name).toBe('anna.tar.zst');
    expect(blob?.size).toBe(2500);
  });

  it('cancels an export', async () => {
    const aborted = vi.fn();
    server.use(
      http.get('*/api/profiles/anna/archive', async ({ request }) => {
        request.signal.addEventListener('abort', aborted);
        await delay('infinite');
      }),
    );
    const { user } = openPage([anna]);
    await choose(user, 'anna', 'Export');
    await user.click(await screen.findByRole('button', { name: 'Cancel the transfer of anna' }));
    await waitFor(() => {
      expect(aborted).toHaveBeenCalled();
    });
    expect(screen.queryByText('Export of anna')).not.toBeInTheDocument();
  });
});

describe('cookies', () => {
  const cookie = { name: 'sid', value: 'secret', domain: '.shop.example', path: '/', expires: 2e9 };

  it('are shown, saved in both forms and replaced', async () => {
    const saved = vi.spyOn(download, 'saveFile').mockReturnValue();
    server.use(
      http.get('*/api/profiles/anna/cookies', ({ request }) =>
        request.headers.get('Accept') === 'text/plain'
          ? HttpResponse.text('# Netscape')
          : HttpResponse.json([cookie]),
      ),
    );
    const replaced = record('put', '*/api/profiles/anna/cookies', nothing);
    const { user } = openPage([anna]);
    await choose(user, 'anna', 'Cookies…');
    const dialog = within(await screen.findByRole('dialog', { name: 'Cookies of anna' }));
    expect(await dialog.findByRole('row', { name: /\.shop\.example sid secret/ })).toBeVisible();
    await user.click(dialog.getByRole('button', { name: 'Save as JSON' }));
    await user.click(dialog.getByRole('button', { name: 'Save as text' }));
    await waitFor(() => {
      expect(saved.mock.calls.map(([, name]) => name)).toEqual([
        'anna.cookies.json',
        'anna.cookies.txt',
      ]);
    });
    await user.click(dialog.getByRole('button', { name: 'Replace…' }));
    await user.click(dialog.getByRole('button', { name: 'Replace all cookies' }));
    expect(dialog.getByLabelText('Cookies')).toHaveAccessibleDescription(
      'Choose a file, or paste cookies.',
    );
    await user.upload(dialog.getByLabelText('File'), new File(['[]'], 'empty.json'));
    await waitFor(() => {
      expect(dialog.getByLabelText('Cookies')).toHaveValue('[]');
    });
    await user.click(dialog.getByRole('button', { name: 'Replace all cookies' }));
    expect(await screen.findByText('Cookies of anna replaced.')).toBeInTheDocument();
    await user.click(dialog.getByRole('button', { name: 'Replace…' }));
    await user.type(dialog.getByLabelText('Cookies'), '# Netscape HTTP Cookie File');
    await user.click(dialog.getByRole('button', { name: 'Replace all cookies' }));
    await waitFor(() => {
      expect(replaced).toMatchObject([
        { body: '[]', type: 'application/json' },
        { body: '# Netscape HTTP Cookie File', type: 'text/plain' },
      ]);
    });
  });

  it('say why they can’t be read', async () => {
    server.use(
      http.get('*/api/profiles/anna/cookies', () =>
        refusal(503, 'profile_away', 'its worker does not answer'),
      ),
    );
    const { user } = openPage([anna]);
    await choose(user, 'anna', 'Cookies…');
    const dialog = within(await screen.findByRole('dialog'));
    expect(await dialog.findByRole('alert')).toHaveTextContent('its worker does not answer');
    expect(dialog.getByRole('button', { name: 'Save as JSON' })).toBeDisabled();
  });
});

/** A worker that keeps profiles, and can show these fields of an identity. */
function keeper(name: string, identity: string[] = []) {
  const worker = aWorkerWith(name, {});
  const { detail } = worker;
  if ('facts' in detail && detail.facts) {
    detail.facts.profiles = { count: 0, revision: 1, shared: false };
    detail.facts.identity = identity;
  }
  return worker;
}

it('asks for the machine of a new profile where machines are drawn', async () => {
  const requests = record('post', '*/api/profiles', () =>
    HttpResponse.json(aProfile({ name: 'dora' }), { status: 201 }),
  );
  const fleet = serveFleet();
  fleet.workers = [keeper('east', ['os']), keeper('west')];
  const user = renderPanel({ path: '/profiles' });
  await user.click(await screen.findByRole('button', { name: 'Make the first profile' }));
  const dialog = within(await screen.findByRole('dialog'));
  await user.type(dialog.getByLabelText('Name'), 'dora');
  await user.type(dialog.getByLabelText('Systems'), 'Windows');
  await user.type(dialog.getByLabelText('Seed'), 'dora');
  await user.click(dialog.getByRole('button', { name: 'Make profile' }));
  expect(await screen.findByText('Profile dora made.')).toBeInTheDocument();
  expect(requests.map(({ body }) => JSON.parse(body) as unknown)).toMatchObject([
    { name: 'dora', os: ['windows'], seed: 'dora' },
  ]);
});

it('offers the workers that keep profiles', async () => {
  const fleet = serveFleet();
  fleet.workers = [keeper('east'), keeper('west'), aWorkerWith('old', {})];
  const user = renderPanel({ path: '/profiles' });
  await user.click(await screen.findByRole('button', { name: 'Make the first profile' }));
  const choice = within(await screen.findByRole('dialog')).getByLabelText('Worker');
  expect(
    within(choice)
      .getAllByRole('option')
      .map((one) => one.textContent),
  ).toEqual(['Any', 'east', 'west']);
});

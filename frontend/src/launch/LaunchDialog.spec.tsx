import { screen, waitFor, within } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { describe, expect, it } from 'vitest';

import { EMPTY_DRAFT } from '../live/launchDraft.ts';
import { savePreset, setInitialPreset } from './presets.ts';
import type { CreateSession, Profile, Session, WorkerStatus } from '../api/types.ts';
import { language } from '../i18n/language.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import {
  aProfile,
  aSession,
  aWorkerWith,
  type FakeFleet,
  NOBODY,
  refusal,
  server,
  serveFleet,
} from '../test/server.ts';

async function openForm(...workers: WorkerStatus[]) {
  const fleet = serveFleet();
  if (workers.length > 0) fleet.workers = workers;
  const user = renderPanel();
  // The list of workers arrives with the first event.
  await screen.findByText(/^Fleet (ok|degraded)/);
  await user.click(screen.getByRole('button', { name: 'Launch session' }));
  await screen.findByRole('dialog');
  return { fleet, user, ...form(user) };
}

function form(user: ReturnType<typeof renderPanel>) {
  const dialog = within(screen.getByRole('dialog', { name: 'Launch a session' }));
  const launch = () => user.click(dialog.getByRole('button', { name: 'Launch' }));
  return { dialog, launch };
}

function cards() {
  return within(screen.getByRole('region', { name: 'Launches' }));
}

function recordLaunches(): CreateSession[] {
  const requests: CreateSession[] = [];
  server.use(
    http.post('*/api/sessions', async ({ request }) => {
      const body = (await request.json()) as CreateSession;
      requests.push(body);
      const session = aSession({ id: 'eeeeeeee-5', labels: body.labels ?? {} });
      return HttpResponse.json(session, { status: 201 });
    }),
  );
  return requests;
}

/** A promise with its resolver. */
function promised<T>() {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((keep) => {
    resolve = keep;
  });
  return { promise, resolve };
}

/** An API that creates a session at once and answers the request when the test says so. */
function slowLaunch(fleet: FakeFleet) {
  const { promise, resolve } = promised<Response>();
  const asked = promised<Session>();
  server.use(
    http.post('*/api/sessions', ({ request }) => {
      const session = aSession({
        id: 'eeeeeeee-5',
        status: 'INIT',
        request_id: request.headers.get('X-Request-Id'),
      });
      fleet.emitChange('created', session);
      asked.resolve(session);
      return promise;
    }),
  );
  return { answer: resolve, begun: asked.promise };
}

it('launches a session with the values of the form and lists it', async () => {
  const requests = recordLaunches();
  const { user, dialog, launch } = await openForm();
  await user.selectOptions(dialog.getByLabelText('Worker'), 'local');
  await user.type(dialog.getByLabelText('Idle TTL, seconds'), '600');
  await user.type(dialog.getByLabelText('Start URL'), 'example.com');
  await user.selectOptions(dialog.getByLabelText('Start URL counts as open'), 'domcontentloaded');
  await user.selectOptions(dialog.getByLabelText('When the browser crashes'), 'end');
  await user.selectOptions(dialog.getByLabelText('Contexts of a client that left'), 'discard');
  await user.selectOptions(dialog.getByLabelText('Headless'), 'Yes');
  await user.click(dialog.getByRole('button', { name: 'Add label' }));
  await user.type(dialog.getByLabelText('Key of label 1'), 'team');
  await user.type(dialog.getByLabelText('Value of label 1'), 'qa');
  await launch();
  expect(await screen.findByRole('link', { name: 'eeeeeeee' })).toBeInTheDocument();
  expect(screen.getByText('team=qa', { selector: 'li' })).toBeInTheDocument();
  expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
  expect(requests).toEqual([
    {
      worker: 'local',
      vnc: false,
      headless: true,
      idle_ttl_seconds: 600,
      start_url: 'example.com',
      start_url_wait: 'domcontentloaded',
      on_crash: 'end',
      contexts: 'discard',
      labels: { team: 'qa' },
    },
  ]);
});

it('asks for a window when it asks for a live view', async () => {
  const requests = recordLaunches();
  const { user, dialog, launch } = await openForm();
  await user.selectOptions(dialog.getByLabelText('Headless'), 'Yes');
  await user.click(dialog.getByLabelText(/^Live view/));
  expect(dialog.getByLabelText('Headless')).toBeDisabled();
  await launch();
  await waitFor(() => {
    expect(requests).toEqual([{ vnc: true, headless: false }]);
  });
});

it('shows the defaults of the chosen worker, and which defaults differ between workers', async () => {
  const { user, dialog } = await openForm(
    aWorkerWith('east', { idle_ttl_seconds: 600, headless: true, start_url: 'https://east.test' }),
    aWorkerWith('west', { start_url_wait: 'none' }),
  );
  const ttl = dialog.getByLabelText('Idle TTL, seconds');
  const headless = dialog.getByLabelText('Headless');
  expect(ttl).toHaveAccessibleDescription('30 to 3600; if empty, it depends on the worker.');
  expect(headless).toHaveDisplayValue('Default (depends on the worker)');

  await user.selectOptions(dialog.getByLabelText('Worker'), 'east');
  expect(ttl).toHaveAccessibleDescription(/worker’s default, 10 min\.$/);
  expect(headless).toHaveDisplayValue('Default: Yes');
  expect(dialog.getByLabelText('Start URL')).toHaveAccessibleDescription(/https:\/\/east\.test/);
  await user.selectOptions(dialog.getByLabelText('Worker'), 'west');
  expect(dialog.getByLabelText('Start URL counts as open')).toHaveDisplayValue(
    'Default: Don’t open it',
  );
});

it('warns before the launch that a worker has no live views', async () => {
  const requests = recordLaunches();
  const bare = { ...aWorkerWith('bare', {}), supports_vnc: false };
  const { user, dialog, launch } = await openForm(bare, aWorkerWith('local', {}));
  const view = dialog.getByLabelText(/^Live view/);
  await user.click(view);
  expect(view).toBeValid();
  await user.selectOptions(dialog.getByLabelText('Worker'), 'bare (no live view)');
  expect(view).toBeInvalid();
  expect(view).toHaveAccessibleDescription(/has no live views; choose another/);
  await launch();
  expect(view).toHaveFocus();
  expect(requests).toEqual([]);
});

it('sends no request that the API would refuse', async () => {
  const requests = recordLaunches();
  const { user, dialog, launch } = await openForm();
  const idleTtl = dialog.getByLabelText('Idle TTL, seconds');
  await user.type(idleTtl, '29');
  await user.click(dialog.getByRole('button', { name: 'Add label' }));
  await user.type(dialog.getByLabelText('Value of label 1'), 'lost');
  await launch();
  expect(idleTtl).toBeInvalid();
  expect(idleTtl).toHaveFocus();
  expect(idleTtl).toHaveAccessibleDescription(/from 30 to 3600/);
  expect(dialog.getByText('A label needs a key.')).toBeInTheDocument();
  expect(requests).toEqual([]);

  await user.type(idleTtl, '9');
  expect(idleTtl).toBeValid();
  await user.click(dialog.getByRole('button', { name: 'Remove label 1' }));
  await launch();
  await waitFor(() => {
    expect(requests).toEqual([{ vnc: false, idle_ttl_seconds: 299 }]);
  });
});

it('shows an error of the API at the field that it names, and keeps the input', async () => {
  server.use(
    http.post('*/api/sessions', () =>
      refusal(422, 'invalid_field', 'start_url: must be something else'),
    ),
  );
  const { user, dialog, launch } = await openForm();
  const startUrl = dialog.getByLabelText('Start URL');
  await user.type(startUrl, 'http://');
  await launch();
  await waitFor(() => {
    expect(startUrl).toHaveAccessibleDescription('start_url: must be something else');
  });
  expect(startUrl).toHaveFocus();
  expect(startUrl).toHaveValue('http://');
  expect(dialog.getByRole('button', { name: 'Launch' })).toBeEnabled();
  await user.type(startUrl, 'a');
  expect(startUrl).toBeValid();
});

it('shows an error without a field below the form', async () => {
  server.use(
    http.post('*/api/sessions', () => refusal(429, 'at_capacity', 'all 2 sessions are in use')),
  );
  const { dialog, launch } = await openForm();
  await launch();
  expect(await dialog.findByRole('alert')).toHaveTextContent('all 2 sessions are in use');
});

it('shows a session from INIT to READY, and links to it', async () => {
  const { fleet, user, launch } = await openForm();
  const { answer, begun } = slowLaunch(fleet);
  server.use(http.get('*/api/sessions/local/:id/events', () => HttpResponse.json([])));
  await launch();
  expect(await screen.findByText('Session eeeeeeee is starting on local')).toBeInTheDocument();
  expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
  expect(cards().getByText('INIT')).toBeInTheDocument();
  expect(cards().getByRole('timer')).toHaveTextContent(/^\d+\.\d sec$/);

  const ready: Session = { ...(await begun), status: 'READY' };
  fleet.emitChange('ready', ready);
  answer(HttpResponse.json(ready, { status: 201 }));
  expect(await cards().findByText(/^READY on local after \d+\.\d{3} sec$/)).toBeInTheDocument();
  await user.click(cards().getByRole('link', { name: 'Open' }));
  expect(await screen.findByRole('region', { name: 'History' })).toBeInTheDocument();
  expect(cards().queryByText('Session eeeeeeee is ready')).not.toBeInTheDocument();
});

it('says why a session did not start, and retries with the same form', async () => {
  const { fleet, user, dialog, launch } = await openForm();
  await user.type(dialog.getByLabelText('Start URL'), 'example.com');
  const { answer, begun } = slowLaunch(fleet);
  await launch();
  const session = await begun;
  await screen.findByText('Session eeeeeeee is starting on local');
  fleet.emitChange('ended', {
    ...session,
    status: 'DEAD',
    end_reason: 'launch_failed',
    end_detail: 'no such executable',
  });
  answer(refusal(502, 'launch_failed', 'the browser did not start') as Response);
  expect(await cards().findByText('The session did not start')).toBeInTheDocument();
  expect(cards().getByText('the browser did not start')).toBeInTheDocument();
  expect(cards().getByText('no such executable')).toBeInTheDocument();
  expect(cards().getByRole('link', { name: 'Show details' })).toHaveAttribute(
    'href',
    '/sessions/local/eeeeeeee-5',
  );
  await user.click(cards().getByRole('button', { name: 'Try again' }));
  expect(form(user).dialog.getByLabelText('Start URL')).toHaveValue('example.com');
});

it('ends the session of a cancelled launch', async () => {
  const { fleet, user, launch } = await openForm();
  const { answer, begun } = slowLaunch(fleet);
  const ended: string[] = [];
  server.use(
    http.delete('*/api/sessions/local/:id', async ({ params }) => {
      ended.push(String(params.id));
      fleet.emitChange('ended', { ...(await begun), status: 'DEAD', end_reason: 'deleted' });
      answer(refusal(409, 'session_cancelled', 'the session was ended') as Response);
      return HttpResponse.json({ id: params.id, status: 'DEAD' });
    }),
  );
  await launch();
  await user.click(await screen.findByRole('button', { name: 'Cancel the launch' }));
  expect(await screen.findByText('Launch cancelled')).toBeInTheDocument();
  expect(ended).toEqual(['eeeeeeee-5']);
  await user.click(cards().getByRole('button', { name: 'Dismiss' }));
  expect(screen.queryByText('Launch cancelled')).not.toBeInTheDocument();
});

it('continues when the form is closed before there is a session', async () => {
  const { promise, resolve } = promised<Response>();
  const { user, launch } = await openForm();
  server.use(http.post('*/api/sessions', () => promise));
  await launch();
  await user.keyboard('{Escape}');
  expect(cards().getByText('Requesting a session…')).toBeInTheDocument();
  resolve(refusal(503, 'no_slot', 'all 3 display slots are taken') as Response);
  expect(await cards().findByText('all 3 display slots are taken')).toBeInTheDocument();
});

it('saves a form as a preset, applies it, and starts with it', async () => {
  const { user, dialog } = await openForm();
  const choose = async (entry: string) => {
    await user.click(screen.getByRole('button', { name: /^Preset/ }));
    await user.click(await screen.findByRole('menuitem', { name: entry }));
  };
  await user.type(dialog.getByLabelText('Idle TTL, seconds'), '120');
  await choose('Save as…');
  await user.type(await dialog.findByLabelText('Name of the preset'), 'short{Enter}');
  expect(screen.getByRole('button', { name: 'Preset short' })).toBeInTheDocument();

  await choose('Open the form with it');
  await user.click(dialog.getByRole('button', { name: 'Cancel' }));
  await user.click(screen.getByRole('button', { name: 'Launch session' }));
  expect(form(user).dialog.getByLabelText('Idle TTL, seconds')).toHaveValue('120');

  await choose('Delete “short”');
  expect(screen.getByRole('button', { name: 'Preset No preset' })).toBeInTheDocument();
});

it('falls back to any worker when the worker of a preset has left the fleet', async () => {
  savePreset('eastern', { ...EMPTY_DRAFT, worker: 'east', idleTtlSeconds: '90' });
  setInitialPreset('eastern');
  const { dialog } = await openForm();
  expect(
    dialog.getByText(/for the worker “east”, which is no longer in the fleet/),
  ).toBeInTheDocument();
  expect(dialog.getByLabelText('Worker')).toHaveDisplayValue('Any suitable');
  expect(dialog.getByLabelText('Idle TTL, seconds')).toHaveValue('90');
});

const EGRESS = {
  policy: 'no-fleet',
  proxies: ['eu'],
  default_proxy: null,
  block_lists: ['ads', 'phone_home'],
  default_block: ['phone_home'],
  checks_proxies: false,
  city_database: null,
};
const east = aWorkerWith('east', {}, EGRESS);
const west = aWorkerWith(
  'west',
  {},
  { ...EGRESS, proxies: [], default_block: [], checks_proxies: false, city_database: null },
);

/** Everything that this browser keeps of the panel. */
function stored(): string {
  const entries = [localStorage, sessionStorage].flatMap((storage) => Object.entries(storage));
  return JSON.stringify(entries);
}

describe('the proxy of a new session', () => {
  it('may be a pool, with the workers that have it, or none', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openForm(east, west);
    const proxy = dialog.getByLabelText('Proxy');
    expect(
      within(proxy)
        .getAllByRole('option')
        .map((option) => option.textContent),
    ).toEqual(['Default: Direct', 'None: direct connections', 'eu (only on east)', 'Own proxy…']);
    await user.selectOptions(proxy, 'eu (only on east)');
    await user.selectOptions(dialog.getByLabelText('Worker'), 'west');
    expect(proxy).toHaveAccessibleDescription(/no pool “eu” any more/);
    expect(proxy).toBeInvalid();
    await user.selectOptions(dialog.getByLabelText('Worker'), 'east');
    expect(proxy).toBeValid();
    await launch();
    await waitFor(() => {
      expect(requests).toEqual([{ worker: 'east', vnc: false, proxy: 'eu' }]);
    });
  });

  it('may be an own one, whose password is neither shown nor stored', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openForm(east);
    await user.selectOptions(dialog.getByLabelText('Proxy'), 'Own proxy…');
    await launch();
    const address = dialog.getByLabelText('Proxy server');
    expect(address).toHaveFocus();
    expect(address).toHaveAccessibleDescription('Enter the address of the proxy.');
    expect(requests).toEqual([]);

    await user.click(address);
    await user.paste('a.test:3128:me:s3cret');
    expect(address).toHaveValue('a.test:3128');
    expect(dialog.getByLabelText('User name')).toHaveValue('me');
    expect(dialog.getByLabelText('Password')).toHaveAttribute('type', 'password');

    await user.click(dialog.getByRole('button', { name: 'Copy as curl' }));
    expect(await screen.findByText(/^curl command .* copied\.$/)).toBeInTheDocument();
    const command = await navigator.clipboard.readText();
    expect(command).toContain('"username": "me"');
    expect(command).toContain('PASSWORD');
    expect(command).not.toContain('s3cret');

    await user.click(screen.getByRole('button', { name: /^Preset/ }));
    await user.click(await screen.findByRole('menuitem', { name: 'Save as…' }));
    await user.type(await dialog.findByLabelText('Name of the preset'), 'mine{Enter}');
    expect(stored()).toContain('a.test:3128');
    expect(stored()).not.toContain('s3cret');

    await launch();
    await waitFor(() => {
      expect(requests).toEqual([
        { vnc: false, proxy: { server: 'a.test:3128', username: 'me', password: 's3cret' } },
      ]);
    });
    expect(window.location.href).not.toContain('s3cret');
  });

  it('is checked by a worker on which the session may run', async () => {
    const checked: unknown[] = [];
    server.use(
      http.post('*/api/proxies/check', async ({ request }) => {
        checked.push(await request.json());
        return refusal(503, 'busy', 'no');
      }),
    );
    const checks = { ...EGRESS, checks_proxies: true };
    const viewless = { ...aWorkerWith('east', {}, checks), supports_vnc: false };
    const { user, dialog } = await openForm(viewless, aWorkerWith('west', {}, checks));
    const check = dialog.getByRole('button', { name: 'Check' });
    const result = within(dialog.getByRole('group', { name: 'Proxy check' })).getByRole('status');
    for (const prepare of [
      () => user.selectOptions(dialog.getByLabelText('Proxy'), 'None: direct connections'),
      () => user.click(dialog.getByLabelText(/^Live view/)),
      () => user.selectOptions(dialog.getByLabelText('Worker'), 'east (no live view)'),
    ]) {
      await prepare();
      expect(result).toBeEmptyDOMElement();
      await user.click(check);
      expect(await within(result).findByText(/Too many checks/)).toBeInTheDocument();
    }
    expect(checked).toEqual(
      ['east', 'west', 'east'].map((worker) => ({ proxy: 'direct', worker })),
    );
  });

  it('of a preset has no password, which the form says', async () => {
    const own = { ...EMPTY_DRAFT.proxy, kind: 'own' as const, server: 'a.test:1', username: 'me' };
    savePreset('mine', { ...EMPTY_DRAFT, proxy: own });
    setInitialPreset('mine');
    const { dialog } = await openForm(east);
    expect(dialog.getByText(/Presets keep no passwords/)).toBeInTheDocument();
    expect(dialog.getByLabelText('Proxy server')).toHaveValue('a.test:1');
    expect(dialog.getByLabelText('Password')).toHaveValue('');
  });

  it('shows at its field why the API refuses it', async () => {
    const reason = 'proxy: must have a user name of 1 to 255 bytes';
    server.use(http.post('*/api/sessions', () => refusal(422, 'invalid_field', reason)));
    const { user, dialog, launch } = await openForm(east);
    await user.selectOptions(dialog.getByLabelText('Proxy'), 'Own proxy…');
    await user.type(dialog.getByLabelText('Proxy server'), 'a.test');
    await launch();
    const name = dialog.getByLabelText('User name');
    await waitFor(() => {
      expect(name).toHaveAccessibleDescription(reason);
    });
    expect(name).toHaveFocus();
  });
});

describe('the block lists of a new session', () => {
  it('are those of the worker until they are changed', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openForm(east, west);
    const lists = within(dialog.getByRole('group', { name: 'Blocked hosts' }));
    const phoneHome = lists.getByLabelText('What the browser calls by itself');
    const ads = lists.getByLabelText('ads');
    expect(phoneHome).toBePartiallyChecked();
    expect(ads).not.toBeChecked();
    await user.selectOptions(dialog.getByLabelText('Worker'), 'east');
    expect(phoneHome).toBeChecked();
    await user.click(ads);
    await user.click(phoneHome);
    await user.click(lists.getByRole('button', { name: 'Worker’s default' }));
    expect(phoneHome).toBeChecked();
    await user.click(ads);
    await launch();
    await waitFor(() => {
      expect(requests).toEqual([{ worker: 'east', vnc: false, block: ['ads', 'phone_home'] }]);
    });
  });

  it('may be none', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openForm(east);
    await user.click(dialog.getByLabelText('What the browser calls by itself'));
    await launch();
    await waitFor(() => {
      expect(requests).toEqual([{ vnc: false, block: [] }]);
    });
  });

  it('are not offered by a worker that has none', async () => {
    const { dialog } = await openForm();
    expect(dialog.queryByRole('group', { name: 'Blocked hosts' })).not.toBeInTheDocument();
  });
});

it('is translated to Russian', async () => {
  const { user } = await openForm();
  language.set('ru');
  const dialog = within(await screen.findByRole('dialog', { name: 'Запуск сессии' }));
  await user.type(dialog.getByLabelText('Время простоя, секунды'), '5');
  await user.click(dialog.getByRole('button', { name: 'Запустить' }));
  expect(dialog.getByText('Время простоя — целое число секунд от 30 до 3600.')).toBeInTheDocument();
});

it('can be closed with Cancel', async () => {
  const { user, dialog } = await openForm();
  await user.click(dialog.getByRole('button', { name: 'Cancel' }));
  expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
});

describe('the machine of a new session', () => {
  const able = (field: string) => {
    const worker = aWorkerWith('local', {});
    if ('facts' in worker.detail && worker.detail.facts) worker.detail.facts.identity = [field];
    return worker;
  };
  const drawing = () => able('os');

  it('is asked for where machines are drawn', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openForm(drawing());
    await user.type(dialog.getByLabelText('Systems'), 'windows, macos');
    await user.type(dialog.getByLabelText('Seed'), 'anna');
    await user.selectOptions(dialog.getByLabelText('Pointer'), 'Moves as a hand does');
    await user.type(dialog.getByLabelText('Graphics card: vendor'), 'Intel');
    await user.type(dialog.getByLabelText('Graphics card: renderer'), 'HD');
    await user.selectOptions(dialog.getByLabelText('Scripts in the page’s own world'), 'Yes');
    await launch();
    expect(await screen.findByRole('link', { name: 'eeeeeeee' })).toBeInTheDocument();
    expect(requests).toEqual([
      {
        vnc: false,
        os: ['windows', 'macos'],
        seed: 'anna',
        humanize: true,
        webgl: { vendor: 'Intel', renderer: 'HD' },
        main_world_eval: true,
      },
    ]);
  });

  it('is not asked for where browsers show their own', async () => {
    const { dialog } = await openForm(aWorkerWith('local', {}));
    expect(dialog.queryByLabelText('Systems')).not.toBeInTheDocument();
    expect(dialog.queryByLabelText('Preferences of Firefox')).not.toBeInTheDocument();
  });

  it('has preferences where the worker allows some', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openForm(able('user_preferences'));
    const field = dialog.getByLabelText('Preferences of Firefox');
    await user.type(field, 'dom.a');
    await launch();
    expect(field).toHaveAccessibleDescription(/^A preference is a line such as/);
    await user.type(field, ' = 4{Enter}dom.b = true');
    await launch();
    expect(await screen.findByRole('link', { name: 'eeeeeeee' })).toBeInTheDocument();
    expect(requests).toEqual([{ vnc: false, user_preferences: { 'dom.a': 4, 'dom.b': true } }]);
  });

  it('shows beside its field what the API refuses', async () => {
    const { user, dialog, launch } = await openForm(drawing());
    const refused = refusal(422, 'invalid_field', 'fonts: no font that Camoufox has');
    server.use(http.post('*/api/sessions', () => refused));
    await user.type(dialog.getByLabelText('Additional fonts'), 'Papyrus');
    await launch();
    expect(await dialog.findByText(/no font that Camoufox has/)).toBeInTheDocument();
    expect(dialog.getByLabelText('Additional fonts')).toBeInvalid();
  });
});

describe('the identity of a new session', () => {
  it('is sent as the API has it', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openForm();
    await user.type(dialog.getByLabelText('Languages'), 'de-AT, de');
    await user.type(dialog.getByLabelText('Time zone'), 'auto');
    await user.type(dialog.getByLabelText('Latitude, longitude'), '48.2, 16.4');
    await user.type(dialog.getByLabelText('Screen, pixels'), '1366x768');
    await user.selectOptions(dialog.getByLabelText('WebRTC'), 'proxy');
    await user.selectOptions(dialog.getByLabelText('Images'), 'block');
    await user.selectOptions(dialog.getByLabelText('Engine'), 'firefox');
    await user.selectOptions(dialog.getByLabelText('If it does not fit the exit'), 'warn');
    await launch();
    expect(await screen.findByRole('link', { name: 'eeeeeeee' })).toBeInTheDocument();
    expect(requests).toEqual([
      {
        vnc: false,
        locale: ['de-AT', 'de'],
        timezone: 'auto',
        geolocation: { latitude: 48.2, longitude: 16.4 },
        screen: { width: 1366, height: 768 },
        webrtc: 'proxy',
        block_images: true,
        engine: 'firefox',
        coherence: 'warn',
      },
    ]);
  });

  it('is not sent while it can’t be read', async () => {
    const requests = recordLaunches();
    const { user, dialog } = await openForm();
    await user.type(dialog.getByLabelText('Screen, pixels'), 'large');
    await user.click(dialog.getByRole('button', { name: 'Launch' }));
    expect(await dialog.findByText(/A screen is a size such as/)).toBeInTheDocument();
    expect(requests).toEqual([]);
  });
});

describe('the profile', () => {
  const anna = aProfile({
    identity: {
      ...NOBODY,
      locale: ['de-AT', 'de'],
      timezone: 'Europe/Vienna',
      geolocation: { latitude: 48.2, longitude: 16.4, accuracy: 50 },
      screen: { width: 1366, height: 768 },
      block_images: true,
      webrtc: 'proxy',
    },
    proxy: { server: 'socks5://proxy.example:1080', pool: null },
  });

  async function openWith(...profiles: Profile[]) {
    const opened = await openForm();
    opened.fleet.profiles = profiles;
    await opened.user.click(opened.dialog.getByRole('button', { name: 'Cancel' }));
    await opened.user.click(screen.getByRole('button', { name: 'Launch session' }));
    await screen.findByRole('dialog');
    return { ...opened, ...form(opened.user) };
  }

  it('locks the identity of an existing one with the reason, and shows its exit', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openWith(anna);
    await user.type(dialog.getByLabelText('Languages'), 'fr-FR');
    await user.type(dialog.getByLabelText('Profile'), 'anna');
    await waitFor(() => {
      expect(dialog.getByLabelText('Languages')).toBeDisabled();
    });
    expect(dialog.getByLabelText('Languages')).toHaveValue('de-AT, de');
    expect(dialog.getByLabelText('Latitude, longitude')).toHaveValue('48.2, 16.4');
    expect(dialog.getByLabelText('Screen, pixels')).toHaveValue('1366x768');
    expect(dialog.getByLabelText('WebRTC')).toHaveValue('proxy');
    // Whether a contradiction refuses the create is a choice of each session.
    await user.selectOptions(dialog.getByLabelText('If it does not fit the exit'), 'warn');
    expect(dialog.getByText(/anna has this identity, which does not change/)).toBeVisible();
    expect(dialog.getByLabelText('Proxy')).toHaveDisplayValue(
      'The profile’s: socks5://proxy.example:1080',
    );
    await user.selectOptions(dialog.getByLabelText('Profile’s data'), 'copy');
    await user.type(dialog.getByLabelText('Idle TTL, seconds'), '0');
    await user.click(dialog.getByRole('button', { name: 'Copy as curl' }));
    const command = await navigator.clipboard.readText();
    expect(command).toContain('"profile": "anna"');
    expect(command).toContain('"profile_mode": "copy"');
    expect(command).not.toContain('fr-FR');
    await launch();
    await waitFor(() => {
      expect(requests).toEqual([
        {
          vnc: false,
          profile: 'anna',
          profile_mode: 'copy',
          idle_ttl_seconds: 0,
          coherence: 'warn',
        },
      ]);
    });
  });

  it('keeps what was typed for a new one', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openWith(anna);
    await user.type(dialog.getByLabelText('Time zone'), 'auto');
    await user.type(dialog.getByLabelText('Profile'), 'anna');
    await waitFor(() => {
      expect(dialog.getByLabelText('Time zone')).toHaveValue('Europe/Vienna');
    });
    await user.type(dialog.getByLabelText('Profile'), '-2');
    expect(dialog.getByLabelText('Time zone')).toHaveValue('auto');
    expect(dialog.getByLabelText('Profile')).toHaveAccessibleDescription(/^A new profile/);
    await launch();
    await waitFor(() => {
      expect(requests).toEqual([{ vnc: false, profile: 'anna-2', timezone: 'auto' }]);
    });
  });

  it('allows long idle TTLs only with a profile, and names that can be one', async () => {
    const requests = recordLaunches();
    const { user, dialog, launch } = await openWith(anna);
    const idleTtl = dialog.getByLabelText('Idle TTL, seconds');
    const profile = dialog.getByLabelText('Profile');
    await user.type(idleTtl, '2592000');
    await launch();
    expect(idleTtl).toHaveAccessibleDescription(/from 30 to 3600/);
    await user.type(profile, 'no name');
    expect(idleTtl).toBeValid();
    expect(profile).toHaveAccessibleDescription(/begins with a letter or a digit/);
    await user.clear(profile);
    await user.type(profile, 'anna');
    await user.type(idleTtl, '0');
    expect(idleTtl).toHaveAccessibleDescription(/has to be 0, or a whole number/);
    await user.clear(idleTtl);
    await user.type(idleTtl, '2592000');
    await launch();
    await waitFor(() => {
      expect(requests).toEqual([{ vnc: false, profile: 'anna', idle_ttl_seconds: 2_592_000 }]);
    });
  });

  it('says who waits for whom, and shows refusals at its field', async () => {
    server.use(
      http.post('*/api/sessions', () => refusal(409, 'profile_in_use', 'in use by session 1')),
    );
    const used_by = { session: 'x', worker: 'local', since: new Date().toISOString() };
    const { user, dialog, launch } = await openWith({ ...anna, used_by });
    const profile = dialog.getByLabelText('Profile');
    await user.type(profile, 'anna');
    await waitFor(() => {
      expect(profile).toHaveAccessibleDescription(/A session is using it now/);
    });
    await launch();
    await waitFor(() => {
      expect(profile).toHaveAccessibleDescription('in use by session 1');
    });
    expect(profile).toHaveFocus();
  });

  it('is a part of presets', async () => {
    savePreset('As Anna', { ...EMPTY_DRAFT, profile: 'anna', profileMode: 'copy' });
    setInitialPreset('As Anna');
    const { dialog } = await openWith(anna);
    expect(dialog.getByLabelText('Profile')).toHaveValue('anna');
    expect(dialog.getByLabelText('Profile’s data')).toHaveValue('copy');
  });
});

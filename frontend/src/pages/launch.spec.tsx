import { screen, waitFor, within } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { expect, it } from 'vitest';

import type { CreateSession } from '../api/types.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { aSession, refusal, server } from '../test/server.ts';

async function openForm() {
  const user = renderPanel();
  // The workers to choose from come with the first event.
  await screen.findByText('Fleet ok', { exact: false });
  await user.click(screen.getByRole('button', { name: 'Launch session' }));
  const dialog = within(screen.getByRole('dialog', { name: 'Launch a session' }));
  const launch = () => user.click(dialog.getByRole('button', { name: 'Launch' }));
  return { user, dialog, launch };
}

function recordLaunches(): CreateSession[] {
  const requests: CreateSession[] = [];
  server.use(
    http.post('*/api/sessions', async ({ request }) => {
      const body = (await request.json()) as CreateSession;
      requests.push(body);
      const session = aSession({ id: 'eeeeeeee-5', status: 'INIT', labels: body.labels ?? {} });
      return HttpResponse.json(session, { status: 201 });
    }),
  );
  return requests;
}

it('launches what was filled in and lists it', async () => {
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
  expect(await screen.findByText('eeeeeeee')).toBeInTheDocument();
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

it('sends nothing that the API would refuse', async () => {
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

it('shows the API’s own words when it refuses, and keeps what was typed', async () => {
  server.use(
    http.post('*/api/sessions', () =>
      refusal(422, 'invalid_value', 'start_url: “http://” names no host'),
    ),
  );
  const { user, dialog, launch } = await openForm();
  await user.type(dialog.getByLabelText('Start URL'), 'http://');
  await launch();
  expect(await dialog.findByRole('alert')).toHaveTextContent('start_url: “http://” names no host');
  expect(dialog.getByLabelText('Start URL')).toHaveValue('http://');
  expect(dialog.getByRole('button', { name: 'Launch' })).toBeEnabled();
});

it('is left with Cancel', async () => {
  const { user, dialog } = await openForm();
  await user.click(dialog.getByRole('button', { name: 'Cancel' }));
  expect(screen.queryByRole('dialog')).not.toBeInTheDocument();
});

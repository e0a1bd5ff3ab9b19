import { act, screen, within } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { expect, it } from 'vitest';

import { errorText, UnreachableError } from '../api/client.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { aSession, serveFleet, server } from '../test/server.ts';
import { language } from '../i18n/language.ts';
import { texts } from '../i18n/texts.ts';

/** The English texts that have another text in Russian; texts with parameters are left out. */
function englishOnly(english: object, russian: object): string[] {
  return Object.entries(english).flatMap(([key, value]: [string, unknown]) => {
    const other = (russian as Record<string, unknown>)[key];
    if (typeof value === 'string') return value === other || /[{<]/.test(value) ? [] : [value];
    return englishOnly(value as object, other ?? {});
  });
}

/** All visible and accessible texts of the page. */
function allTexts(): string[] {
  const found = [document.title];
  for (const element of document.body.querySelectorAll('*')) {
    for (const node of element.childNodes) {
      if (node.nodeType === Node.TEXT_NODE) found.push(node.textContent?.trim() ?? '');
    }
    for (const name of ['aria-label', 'title', 'placeholder', 'data-label']) {
      found.push(element.getAttribute(name) ?? '');
    }
  }
  return found.filter((text) => text !== '');
}

function leftInEnglish(): string[] {
  const { en, ru } = texts;
  const english = new Set(englishOnly(en, ru));
  return allTexts().filter((text) => english.has(text));
}

it('changes every text of the list at once, also in rows that did not change', async () => {
  const fleet = serveFleet(
    aSession({
      id: 'aaaaaaaa-1',
      headless: true,
      stale: true,
      vnc_enabled: true,
      // Two hours also by a clock that has not ticked for a moment.
      created_at: new Date(Date.now() - 7_260_000).toISOString(),
    }),
  );
  fleet.ended = [aSession({ id: 'cccccccc-1', status: 'DEAD', end_reason: 'crashed' })];
  const user = renderPanel();
  const cells = within(await screen.findByRole('row', { name: /aaaaaaaa/ }));
  expect(cells.getByText('2h ago')).toBeInTheDocument();
  expect(leftInEnglish()).toContain('Last activity');

  act(() => {
    language.set('ru');
  });
  expect(leftInEnglish()).toEqual([]);
  expect(document.title).toBe('Сессии · camofleet');
  expect(document.documentElement.lang).toBe('ru');
  expect(cells.getByText(/^2\sч назад$/)).toBeInTheDocument();
  expect(cells.getByText('без окна')).toBeInTheDocument();

  await user.click(screen.getByRole('switch', { name: 'Показать завершённые' }));
  expect(await screen.findByText('Сбой браузера')).toBeInTheDocument();
  expect(leftInEnglish()).toEqual([]);
});

it('changes every text of a session’s page', async () => {
  const session = aSession({ attached: 2, start_url: 'https://start.test/', request_id: 'req-1' });
  serveFleet(session);
  server.use(
    http.get('*/api/sessions/:worker/:id/events', () =>
      HttpResponse.json([
        { at: session.created_at, change: 'created', detail: null, request_id: 'req-1' },
      ]),
    ),
  );
  const user = renderPanel({ path: `/sessions/local/${session.id}` });
  await screen.findByText('Created', { selector: '.timeline-what' });
  expect(document.title).toBe('Session 3f2b8c1e · camofleet');
  await user.click(screen.getByRole('button', { name: 'End' }));
  act(() => {
    language.set('ru');
  });
  expect(leftInEnglish()).toEqual([]);
  expect(document.title).toBe('Сессия 3f2b8c1e · camofleet');
  expect(screen.getByRole('dialog')).toHaveTextContent('Подключены 2 клиента');
});

it('explains errors in the current language, also earlier ones', () => {
  const error = new UnreachableError('foreign', 502);
  expect(errorText(error)).toBe('Something other than the API answered, with status 502.');
  language.set('ru');
  expect(errorText(error)).toContain('статус 502');
});

import { act, cleanup, fireEvent, screen, waitFor, within } from '@testing-library/react';
import { http, HttpResponse } from 'msw';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { access } from '../api/token.ts';
import { renderPanel } from '../test/renderPanel.tsx';
import { Screens, sessionsWithScreens, withScreen } from '../test/screens.ts';
import { aSession, healthyWorker, refusal, serveFleet, server } from '../test/server.ts';
import { wallLayout } from '../wall/preferences.ts';
import { UNPIN_AFTER_MS, pins } from '../sessions/pins.ts';
import { HOVER_MS } from '../wall/ScreenTile.tsx';

// noVNC needs a canvas and a WebSocket, which jsdom lacks; the tests check its parameters.
vi.mock('../vnc/ViewOnlyViewer.tsx', () => ({
  default: ({ sessionId, url }: { sessionId: string; url: string }) => (
    <div data-testid={`live-${sessionId}`}>{url}</div>
  ),
}));

let screens: Screens;
let pictures: Set<string>;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'], shouldAdvanceTime: true });
  screens = new Screens();
  pictures = new Set();
  let last = 0;
  // jsdom has no object URLs.
  URL.createObjectURL = () => {
    last += 1;
    pictures.add(`blob:${last}`);
    return `blob:${last}`;
  };
  URL.revokeObjectURL = (url) => pictures.delete(url);
});

afterEach(() => {
  cleanup();
  expect(pictures).toEqual(new Set());
  vi.useRealTimers();
});

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const openWall = (path = '/wall') =>
  renderPanel({ path, user: { advanceTimers: (ms) => vi.advanceTimersByTime(ms) } });
const tiles = () =>
  screen.queryAllByRole('article').map((tile) => /^Session (.*)$/.exec(tile.ariaLabel ?? '')?.[1]);
const tile = (id: string) => within(screen.getByRole('article', { name: `Session ${id}` }));
const picture = (id: string) =>
  waitFor(() => tile(id).getByRole<HTMLImageElement>('img', { name: `Screen of ${id}` }));
const cover = (id: string) => tile(id).getByRole('button', { name: `Watch ${id} live` });
const [first, second] = sessionsWithScreens(2);
if (!first || !second) throw new Error('two sessions');

describe('the wall', () => {
  it('shows the pinned screens first, then the newest, and only sessions with a screen', async () => {
    serveFleet(...sessionsWithScreens(3), aSession({ id: 'headless' }));
    pins.set(['local/02aaaaaa']);
    openWall();
    await picture('00aaaaaa');
    expect(tiles()).toEqual(['02aaaaaa', '00aaaaaa', '01aaaaaa']);
  });

  it('keeps the order when a session is added, until it is sorted', async () => {
    const [newest, ...others] = sessionsWithScreens(3);
    if (!newest) throw new Error('three sessions');
    const fleet = serveFleet(...others);
    const user = openWall();
    await picture('01aaaaaa');
    fleet.emitChange('created', { ...newest, status: 'INIT' });
    await waitFor(() => {
      expect(tiles()).toEqual(['01aaaaaa', '02aaaaaa', '00aaaaaa']);
    });
    expect(tile('00aaaaaa').getByText('The browser is starting…')).toBeInTheDocument();
    fleet.emitChange('ready', newest);
    await picture('00aaaaaa');
    await user.click(screen.getByRole('button', { name: 'Newest first' }));
    expect(tiles()).toEqual(['00aaaaaa', '01aaaaaa', '02aaaaaa']);
  });

  it('has pages for buttons and arrow keys, and remembers the number of tiles', async () => {
    serveFleet(...sessionsWithScreens(5));
    const user = openWall();
    await picture('00aaaaaa');
    await user.click(screen.getByRole('button', { name: '2 tiles per page' }));
    expect(screen.getByText('Page 1 of 3')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Next page' }));
    expect(tiles()).toEqual(['02aaaaaa', '03aaaaaa']);
    await user.click(screen.getByRole('heading', { name: /Wall/ }));
    await user.keyboard('{ArrowRight}{ArrowRight}');
    expect(tiles()).toEqual(['04aaaaaa']);
    await user.keyboard('{ArrowLeft}');
    expect(screen.getByText('Page 2 of 3')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: '4 tiles per page' }));
    expect(tiles()).toContain('02aaaaaa');
    expect(wallLayout.get()).toBe(4);
    expect(localStorage.getItem('camofleet.wall.tiles')).toBe('4');
  });

  it('can be filtered by worker and label', async () => {
    const [one, other] = [
      withScreen('11111111', { worker: 'east', labels: { team: 'qa' } }),
      withScreen('22222222', { labels: { team: 'search' } }),
    ];
    serveFleet(one, other);
    const user = openWall();
    await picture('11111111');
    await user.selectOptions(screen.getByRole('combobox', { name: 'Worker' }), 'east');
    expect(tiles()).toEqual(['11111111']);
    await user.selectOptions(screen.getByRole('combobox', { name: 'Label' }), 'team=search');
    expect(screen.getByText('No screen matches')).toBeInTheDocument();
    await user.click(screen.getAllByRole('button', { name: 'Clear the filters' })[0] as Element);
    expect(tiles()).toHaveLength(2);
  });

  it('fills the window until Escape', async () => {
    serveFleet(first);
    const user = openWall();
    await picture('00aaaaaa');
    await user.click(screen.getByRole('button', { name: 'Full window' }));
    expect(document.documentElement).toHaveAttribute('data-full-window');
    await user.keyboard('{Escape}');
    expect(document.documentElement).not.toHaveAttribute('data-full-window');
  });

  it('explains how to launch a session when it is empty', async () => {
    serveFleet(aSession());
    const user = openWall();
    expect(await screen.findByText('No live screens')).toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Launch a session' }));
    expect(await screen.findByRole('dialog', { name: 'Launch a session' })).toBeInTheDocument();
  });

  it('explains that no worker has live views', async () => {
    const fleet = serveFleet();
    fleet.workers = [{ ...healthyWorker, supports_vnc: false }];
    openWall();
    expect(await screen.findByText(/none of them has a VNC server/)).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Launch a session' })).not.toBeInTheDocument();
  });

  it('ends a session after a confirmation', async () => {
    const fleet = serveFleet(first);
    server.use(
      http.delete('*/api/sessions/local/:id', () => {
        fleet.emitChange('ended', { ...first, status: 'DEAD' });
        return HttpResponse.json({ id: first.id, status: 'DEAD' });
      }),
    );
    const user = openWall();
    await picture('00aaaaaa');
    await user.click(screen.getByRole('button', { name: 'End 00aaaaaa' }));
    await user.click(screen.getByRole('button', { name: 'End session' }));
    expect(await screen.findByText('No live screens')).toBeInTheDocument();
  });
});

describe('a screenshot', () => {
  it('is requested once a second, with the token, and kept while nothing changes', async () => {
    access.accept('s3cret');
    serveFleet(first);
    openWall();
    const { src } = await picture('00aaaaaa');
    expect(screens.asked).toEqual([
      { id: '00aaaaaa', width: 160, tag: null, token: 'Bearer s3cret' },
    ]);
    await pass(1000);
    await waitFor(() => {
      expect(screens.asked[1]?.tag).toBe('"first"');
    });
    expect((await picture('00aaaaaa')).src).toBe(src);
    screens.shows = 'second';
    await pass(1000);
    await waitFor(async () => {
      expect((await picture('00aaaaaa')).src).not.toBe(src);
    });
    expect(pictures.size).toBe(1);
    expect(screens.asked).toHaveLength(3);
  });

  it('is requested only while its tile is visible', async () => {
    let report: (seen: boolean) => void = () => undefined;
    vi.stubGlobal(
      'IntersectionObserver',
      class {
        constructor(callback: (entries: { isIntersecting: boolean }[]) => void) {
          report = (isIntersecting) => {
            act(() => {
              callback([{ isIntersecting }]);
            });
          };
        }
        observe = () => undefined;
        disconnect = () => undefined;
      },
    );
    serveFleet(first);
    openWall();
    await screen.findByText('Waiting for the first picture…');
    await pass(3000);
    expect(screens.asked).toEqual([]);
    report(true);
    await picture('00aaaaaa');
    report(false);
    const { length } = screens.asked;
    await pass(5000);
    expect(screens.asked).toHaveLength(length);
  });

  it('is not requested while the tab is hidden', async () => {
    serveFleet(first);
    openWall();
    await picture('00aaaaaa');
    const hide = (state: DocumentVisibilityState) => {
      vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(state);
      fireEvent(document, new Event('visibilitychange'));
    };
    hide('hidden');
    const { length } = screens.asked;
    await pass(5000);
    expect(screens.asked).toHaveLength(length);
    hide('visible');
    await waitFor(() => {
      expect(screens.asked.length).toBeGreaterThan(length);
    });
  });

  it('stays while a newer one fails, with the reason, and is requested less and less often', async () => {
    serveFleet(first);
    openWall();
    const { src } = await picture('00aaaaaa');
    screens.failure = () => refusal(504, 'upstream_timed_out', 'The VNC server did not answer.');
    await pass(1000);
    expect(await screen.findByText('The VNC server did not answer.')).toBeInTheDocument();
    expect((await picture('00aaaaaa')).src).toBe(src);
    const { length } = screens.asked;
    await pass(60_000);
    expect(screens.asked.length - length).toBeLessThan(7);
    screens.failure = null;
    await pass(30_000);
    await waitFor(() => {
      expect(screen.queryByText('The VNC server did not answer.')).not.toBeInTheDocument();
    });
  });

  it('is the last one while the worker is silent', async () => {
    const fleet = serveFleet(first);
    openWall();
    await picture('00aaaaaa');
    fleet.send('worker', { ...healthyWorker, healthy: false, stale: true });
    expect(await screen.findByText(/Its worker does not answer/)).toBeInTheDocument();
    expect(await picture('00aaaaaa')).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: 'Watch 00aaaaaa live' })).not.toBeInTheDocument();
  });
});

describe('a tile', () => {
  const isLive = (id: string) => screen.queryByTestId(`live-${id}`) !== null;

  it('is live while the pointer rests on it', async () => {
    serveFleet(first);
    const user = openWall();
    await picture('00aaaaaa');
    await user.hover(cover('00aaaaaa'));
    await pass(HOVER_MS);
    expect(await screen.findByTestId('live-00aaaaaa')).toHaveTextContent('token=00aaaaaa');
    const { length } = screens.asked;
    await pass(3000);
    expect(screens.asked).toHaveLength(length);
    await user.unhover(cover('00aaaaaa'));
    expect(isLive('00aaaaaa')).toBe(false);
  });

  it('is not live for a pointer that passes over it, nor for a scrolling finger', async () => {
    serveFleet(first);
    const user = openWall();
    await picture('00aaaaaa');
    await user.hover(cover('00aaaaaa'));
    await user.unhover(cover('00aaaaaa'));
    fireEvent.pointerEnter(cover('00aaaaaa'), { pointerType: 'touch' });
    await pass(2 * HOVER_MS);
    expect(isLive('00aaaaaa')).toBe(false);
  });

  it('stays live after a click or Enter, until the next one or Escape', async () => {
    serveFleet(first);
    const user = openWall();
    await picture('00aaaaaa');
    cover('00aaaaaa').focus();
    await user.keyboard('{Enter}');
    expect(await screen.findByTestId('live-00aaaaaa')).toBeInTheDocument();
    expect(cover('00aaaaaa')).toHaveAttribute('aria-pressed', 'true');
    await user.keyboard('{Enter}');
    expect(isLive('00aaaaaa')).toBe(false);
    await user.keyboard('{Enter}');
    await user.keyboard('{Escape}');
    expect(isLive('00aaaaaa')).toBe(false);
  });

  it('is a screenshot again when too many are live', async () => {
    serveFleet(...sessionsWithScreens(5));
    const user = openWall();
    await picture('04aaaaaa');
    for (const id of ['00aaaaaa', '01aaaaaa', '02aaaaaa', '03aaaaaa', '04aaaaaa']) {
      cover(id).focus();
      await user.keyboard('{Enter}');
    }
    expect(isLive('00aaaaaa')).toBe(false);
    expect(isLive('04aaaaaa')).toBe(true);
    expect(screen.getAllByTestId(/^live-/)).toHaveLength(4);
  });

  it('shows that its session restarts, without moving', async () => {
    const fleet = serveFleet(first, second);
    openWall();
    await picture('00aaaaaa');
    fleet.emitChange('restarting', { ...first, status: 'INIT', restarts: 1 });
    expect(await screen.findByText('The browser is restarting…')).toBeInTheDocument();
    expect(tiles()).toEqual(['00aaaaaa', '01aaaaaa']);
  });
});

describe('pins', () => {
  it('are set on a tile, in the table and on the page of a session', async () => {
    serveFleet(first, second);
    const user = openWall();
    await picture('01aaaaaa');
    await user.click(screen.getByRole('button', { name: 'Pin 01aaaaaa' }));
    expect(tiles()).toEqual(['01aaaaaa', '00aaaaaa']);
    cleanup();
    const atTable = openWall('/');
    const row = within(await screen.findByRole('row', { name: /00aaaaaa/ }));
    await atTable.click(row.getByRole('button', { name: 'Pin 00aaaaaa' }));
    expect(pins.get()).toEqual(['local/01aaaaaa', 'local/00aaaaaa']);
    cleanup();
    server.use(
      http.get('*/api/sessions/:worker/:id', () => HttpResponse.json(first)),
      http.get('*/api/sessions/:worker/:id/events', () => HttpResponse.json([])),
    );
    const atPage = openWall('/sessions/local/00aaaaaa');
    await atPage.click(await screen.findByRole('button', { name: 'Pin', pressed: true }));
    expect(pins.get()).toEqual(['local/01aaaaaa']);
  });

  it('are removed when their sessions end', async () => {
    const fleet = serveFleet(first);
    pins.set(['local/00aaaaaa']);
    openWall();
    await picture('00aaaaaa');
    fleet.emitChange('ended', { ...first, status: 'DEAD' });
    await screen.findByText('No live screens');
    await pass(UNPIN_AFTER_MS);
    expect(pins.get()).toEqual([]);
  });

  it('are shown beside the table, and can be hidden', async () => {
    serveFleet(first, second);
    const user = openWall('/');
    await screen.findByRole('row', { name: /00aaaaaa/ });
    expect(screen.queryByRole('complementary', { name: /Pinned/ })).not.toBeInTheDocument();
    await user.click(screen.getByRole('button', { name: 'Pin 00aaaaaa' }));
    const previews = screen.getByRole('complementary', { name: /Pinned/ });
    expect(previews).toBeInTheDocument();
    await picture('00aaaaaa');
    await user.click(cover('00aaaaaa'));
    expect(await screen.findByTestId('live-00aaaaaa')).toBeInTheDocument();
    await user.click(within(previews).getByRole('button', { name: 'Hide' }));
    expect(tiles()).toEqual([]);
    cleanup();
    openWall('/');
    expect(await screen.findByRole('button', { name: 'Show', expanded: false })).toBeVisible();
    expect(localStorage.getItem('camofleet.pins.open')).toBe('false');
  });
});

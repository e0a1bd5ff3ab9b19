/**
 * Every page of the panel, and every state of one that looks different: the list for all tests of the panel's
 * appearance.
 */
import { showsColour } from './chromium.mjs';
import { COLOUR } from './showcase.mjs';

const screenOf = (page) => page.locator('[data-testid="live-screen"][data-state="connected"] canvas');

/** Waits until the screen of a session shows its start page. */
async function showsScreen(page) {
  await screenOf(page).waitFor();
  await showsColour(screenOf(page), COLOUR);
}

/** Opens the fields of an own proxy in a dialog. */
const chooseOwnProxy = (page) => page.locator('[role=dialog] .proxy-fields select').selectOption('own');

const at = (url, path = '') => `${url}/#/${path}`;
const pathOf = ({ worker, id }) => `sessions/${worker}/${id}`;

/**
 * @typedef {object} PanelPage
 * @property {string} name the name of its screenshots
 * @property {(page: import('playwright-core').Page, showcase: import('./showcase.mjs').Showcase) =>
 * Promise<unknown>} open opens it and waits until its content is shown; independent of the language
 * @property {RegExp} [complaint] expected messages of its console
 */

/** @type {PanelPage[]} */
export const PAGES = [
  { name: 'sessions', open: (page, { server }) => visit(page, at(server.url), 'tbody tr:nth-child(4)') },
  { name: 'sessions-troubled', open: (page, { troubled }) => visit(page, at(troubled.url), '.badge.busy') },
  { name: 'sessions-empty', open: async (page, { guarded, signIn }) => (await signIn(page), visit(page, at(guarded.url), '.empty .primary')) },
  { name: 'sessions-ended', open: (page, { server }) => visit(page, at(server.url), '.table-frame', (shown) => shown.getByRole('switch').first().check(), '[data-column=reason]') },
  { name: 'session', open: (page, { server, watched }) => visit(page, at(server.url, pathOf(watched)), '.timeline li', showsScreen) },
  { name: 'session-ended', open: (page, { server, ended }) => visit(page, at(server.url, pathOf(ended)), '.ending') },
  { name: 'wall', open: (page, { server }) => visit(page, at(server.url, 'wall'), '.tile img') },
  { name: 'wall-empty', open: async (page, { guarded, signIn }) => (await signIn(page), visit(page, at(guarded.url, 'wall'), '.empty .primary')) },
  { name: 'profiles', open: (page, { server }) => visit(page, at(server.url, 'profiles'), 'tbody tr:nth-child(2)') },
  { name: 'profiles-empty', open: async (page, { guarded, signIn }) => (await signIn(page), visit(page, at(guarded.url, 'profiles'), '.empty .primary')) },
  { name: 'profile-actions', open: (page, { server }) => visit(page, at(server.url, 'profiles'), 'tbody tr', (shown) => shown.locator('.row-actions .icon-button').first().click(), '[role=menuitem]') },
  { name: 'profile-new', open: (page, { server }) => visit(page, at(server.url, 'profiles'), 'tbody tr', (shown) => shown.locator('.profile-tools .button').last().click(), '[role=dialog]') },
  { name: 'launch-profile', open: (page, { server }) => visit(page, at(server.url, 'profiles'), 'tbody tr', (shown) => shown.locator('.row-actions .button').first().click(), '[role=dialog] .launch-form > .remark') },
  { name: 'workers', open: (page, { server }) => visit(page, at(server.url, 'workers'), '.worker-card') },
  { name: 'workers-troubled', open: (page, { troubled }) => visit(page, at(troubled.url, 'workers'), '.worker-card .badge.bad') },
  { name: 'fleet', open: (page, { server }) => visit(page, at(server.url, 'fleet'), '.chart-card canvas') },
  { name: 'launch', open: (page, { server }) => visit(page, at(server.url), 'tbody tr', (shown) => shown.locator('.top-actions .primary').click(), '[role=dialog]') },
  { name: 'launch-proxy', open: (page, { server }) => visit(page, at(server.url), 'tbody tr', (shown) => shown.locator('.top-actions .primary').click(), chooseOwnProxy) },
  { name: 'exit', open: (page, { server, watched }) => visit(page, at(server.url, pathOf(watched)), (shown) => shown.locator('.network .button').click(), chooseOwnProxy) },
  { name: 'end', open: (page, { server, watched }) => visit(page, at(server.url, pathOf(watched)), '.timeline li', showsScreen, (shown) => shown.locator('.session-actions .danger').click(), '[role=dialog]') },
  { name: 'columns', open: (page, { server }) => visit(page, at(server.url), 'tbody tr', (shown) => shown.getByRole('button', { name: /^(Columns|Столбцы)$/ }).click(), '[role=menuitemcheckbox]') },
  { name: 'settings', open: (page, { server }) => visit(page, at(server.url), 'tbody tr', (shown) => shown.locator('.top-actions .icon-button').click(), '[role=menu]') },
  { name: 'open-fleet', open: (page, { open }) => visit(page, at(open.url), '.open-fleet', '.empty') },
  { name: 'no-such-page', open: (page, { server }) => visit(page, at(server.url, 'nowhere'), '.empty') },
  { name: 'token', open: (page, { guarded }) => visit(page, at(guarded.url), '.token-form'), complaint: /401/ },
  { name: 'vnc', open: (page, { server, watched }) => visit(page, server.url + watched.vnc.http, showsScreen) },
];

/** Opens a URL, and then waits for each selector to be visible or runs each function. */
async function visit(page, url, ...steps) {
  await page.goto(url);
  for (const step of steps) {
    if (typeof step === 'string') await page.locator(step).first().waitFor();
    else await step(page);
  }
}


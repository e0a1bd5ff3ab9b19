/** camofleet's own environment does not affect its sessions. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import path from 'node:path';
import { after, before } from 'node:test';
import { browsers, launchDirectories, marked } from './helpers/processes.mjs';
import { attach, blankPage } from './helpers/playwright.mjs';
import { Server, temporaryDirectory, test } from './helpers/server.mjs';

let directory;
before(() => (directory = temporaryDirectory()));
after(() => fs.rmSync(directory, { recursive: true, force: true }));

/** Variables of debuggers, shells and other programs. Each of them would break or change something. */
const STRANGERS = {
  PWDEBUG: '1',
  DEBUG: '*',
  PLAYWRIGHT_LEGACY_SCREENSHOT: '1',
  NODE_OPTIONS: '--no-such-option',
  NODE_PATH: '/nowhere',
  LD_PRELOAD: '/nowhere/preloaded.so',
  LD_LIBRARY_PATH: '/nowhere',
  MOZ_HEADLESS: '1',
  MOZ_LOG: 'all:5',
  CAMOU_CONFIG_1: '{}',
  CAMOU_PREFS_1: '{}',
  XDG_RUNTIME_DIR: '/nowhere',
  DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere',
  GTK_THEME: 'Nowhere',
  AWS_SECRET_ACCESS_KEY: 'secret',
};

test('a polluted environment affects no create and no start URL, and reaches no child', async () => {
  const server = await Server.start({ ...STRANGERS, TZ: 'Asia/Tokyo', RUNNER_PASS_ENVIRONMENT: 'PASSED_*', PASSED_ON: 'yes' });
  const site = http.createServer((_, response) => response.end('<title>here</title>')).listen(0, '127.0.0.1');
  try {
    await once(site, 'listening');
    const asked = once(site, 'request');
    const headless = await server.create({ headless: true, start_url: `http://127.0.0.1:${site.address().port}/` });
    await Promise.all([asked, server.create({ vnc: true })]);
    assert.equal((await server.session(headless)).start_url_error, null);
    const children = marked(server.runBase);
    assert.ok(children.length > 5, 'drivers, browsers and an X server');
    for (const { argv, env } of children) {
      const strangers = Object.entries(STRANGERS).filter(([name, value]) => env[name] === value);
      // Playwright's own way to start a headless browser.
      assert.deepEqual(strangers.filter(([name]) => name !== 'MOZ_HEADLESS'), [], argv.join(' '));
      assert.deepEqual([env.TZ, env.PASSED_ON], ['Asia/Tokyo', 'yes'], argv.join(' '));
    }
  } finally {
    await server.stop();
    site.close();
  }
});

test('no directory of the user has to exist or be writable, and nothing is written to one', async () => {
  // Not even root can create anything below a file.
  const file = path.join(directory, 'file');
  fs.writeFileSync(file, '');
  const server = await Server.start({ HOME: file, XDG_CACHE_HOME: file, XDG_CONFIG_HOME: file, XDG_DATA_HOME: file, XDG_RUNTIME_DIR: file });
  try {
    await server.create({ headless: true });
    const [launch] = launchDirectories(server.runBase);
    assert.deepEqual(browsers(server.runBase).map(({ env }) => env.HOME), [path.join(launch, 'home')]);
    assert.ok(fs.existsSync(path.join(launch, 'home')));
  } finally {
    await server.stop();
  }
});

test("the user's own fonts are available nevertheless", async () => {
  const home = fs.mkdtempSync(path.join(directory, 'home-'));
  const font = fs.readdirSync('/usr/share/fonts', { recursive: true }).find((name) => name.endsWith('.ttf'));
  fs.mkdirSync(path.join(home, '.fonts'));
  fs.copyFileSync(path.join('/usr/share/fonts', font), path.join(home, '.fonts/own.ttf'));
  const server = await Server.start({ HOME: home, XDG_DATA_HOME: '', XDG_CONFIG_HOME: '', XDG_CACHE_HOME: '' });
  try {
    const session = await server.create({ headless: true });
    const [launch] = launchDirectories(server.runBase);
    assert.ok(fs.existsSync(path.join(launch, 'home/.fonts/own.ttf')));
    const browser = await attach(server, session);
    await (await blankPage(browser)).goto('data:text/html,<p>here</p>');
    await browser.close();
    await server.end(session);
    assert.deepEqual(fs.readdirSync(home, { recursive: true }), ['.fonts', '.fonts/own.ttf'], 'nothing is removed or added');
  } finally {
    await server.stop();
  }
});

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { firefox } from 'playwright-core';
import { withDriver } from './harness.mjs';

const skip = spawnSync('Xvnc', ['-version']).error ? 'there is no Xvnc (tigervnc-standalone-server)' : false;

/** Runs an X server without a window manager, of an unusual size, on a free display number. */
async function withDisplay(directory, size, work) {
  const socket = path.join(directory, 'vnc.sock');
  const args = ['-displayfd', '3', '-geometry', `${size.width}x${size.height}`, '-SecurityTypes', 'None', '-rfbunixpath', socket, '-rfbport', '-1', '-nolisten', 'tcp'];
  const server = spawn('Xvnc', args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  try {
    const number = await new Promise((resolve, reject) => {
      server.stdio[3].once('data', (chunk) => resolve(chunk.toString().trim()));
      server.once('exit', (code) => reject(new Error(`Xvnc ended with ${code}`)));
    });
    await work(`:${number}`);
  } finally {
    server.kill();
    await ended;
  }
}

test('a window covers the display, and shows only what was opened', { skip }, withDriver(async (driver) => {
  const size = { width: 1500, height: 900 };
  await withDisplay(driver.directory, size, async (display) => {
    const env = { PATH: process.env.PATH, HOME: process.env.HOME, DISPLAY: display };
    const { endpoint } = await driver.launched('a', { headless: false, window: size, env });
    const url = 'data:text/html,<title>seen</title>';
    assert.equal((await driver.done({ type: 'open', id: 'a', url, wait: 'load', timeout_ms: 10_000 })).error, null);

    const browser = await firefox.connect(endpoint);
    const [page] = browser.contexts()[0].pages();
    const seen = await page.evaluate(() => ({ outer: [outerWidth, outerHeight], place: [screenX, screenY], width: innerWidth, focused: document.hasFocus() }));
    assert.deepEqual(seen, { outer: [size.width, size.height], place: [0, 0], width: size.width, focused: true });
    await browser.close();

    const tmp = path.join(driver.directoryOf('a'), 'tmp');
    const profile = path.join(tmp, fs.readdirSync(tmp).find((name) => name.includes('profile')));
    assert.match(fs.readFileSync(path.join(profile, 'chrome', 'userChrome.css'), 'utf8'), /remotecontrol/);
    driver.send({ type: 'close', id: 'a' });
    await driver.event('exited', { id: 'a' });
  });
}));

test('without a display the error says what is missing', withDriver(async (driver) => {
  driver.launch('a', { headless: false, env: { PATH: process.env.PATH, HOME: process.env.HOME } });
  assert.match((await driver.event('launch_failed')).error, /no DISPLAY.*set DISPLAY to a running X server/);
}));

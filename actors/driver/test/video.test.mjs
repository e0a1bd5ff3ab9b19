import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { firefox } from 'playwright-core';
import { groupMembers, isAlive, until, withDriver } from './harness.mjs';

const skip = spawnSync('ffmpeg', ['-version']).error ? 'there is no ffmpeg' : false;

/** The processes that encode videos into a directory, with their arguments. */
function encoders(directory) {
  return fs.readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)).flatMap((pid) => {
    try {
      const args = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return path.basename(args[0]) === 'ffmpeg' && args.some((argument) => argument.startsWith(directory)) ? [{ pid: Number(pid), args }] : [];
    } catch {
      return [];
    }
  });
}

test('a client records a video, which is limited and removed with its browser', { skip }, withDriver(async (driver) => {
  const { endpoint } = await driver.launched('a');
  const browser = await firefox.connect(endpoint);
  const size = { width: 320, height: 240 };
  const context = await browser.newContext({ viewport: size, recordVideo: { dir: driver.directory, size } });
  const page = await context.newPage();
  await page.goto('data:text/html,<body style="background:teal">');
  const [encoder] = await until(() => encoders(driver.directory).length && encoders(driver.directory), 'the encoder');
  const { args } = encoder;
  assert.deepEqual([args[args.indexOf('-t') + 1], args[args.indexOf('-fs') + 1]], ['3600', '268435456']);
  assert.ok(args.at(-2).startsWith(path.join(driver.directoryOf('a'), 'tmp')), 'it lies with the browser’s other files');
  await until(() => page.evaluate(() => performance.now() > 1500), 'a second of video');
  const video = page.video();
  await context.close();
  const file = path.join(driver.directory, 'video.webm');
  await video.saveAs(file);
  const { stderr } = spawnSync('ffmpeg', ['-i', file, '-f', 'null', '-'], { encoding: 'utf8' });
  assert.match(stderr, /Video: vp8.* 320x240/);
  assert.equal(isAlive(encoder.pid), false, 'the encoder ends with the context');

  const pages = await browser.newContext({ viewport: size, recordVideo: { dir: driver.directory, size } });
  const opened = await Promise.all(Array.from({ length: 9 }, () => pages.newPage()));
  await until(() => encoders(driver.directory).length === 8, 'the most encoders that one browser has');
  const outcomes = await Promise.all(opened.map((recorded) => recorded.close().then(() => 'saved', (error) => error.message)));
  const refused = outcomes.filter((outcome) => outcome !== 'saved');
  assert.deepEqual(refused, ['page.close: 8 videos are being recorded in this browser, which is the maximum: close a page that is recorded']);

  await (await browser.newContext({ recordVideo: { dir: driver.directory } })).newPage();
  const [last] = await until(() => encoders(driver.directory).length && encoders(driver.directory), 'another encoder');
  driver.send({ type: 'close', id: 'a' });
  await driver.event('exited', { id: 'a' });
  await until(() => groupMembers(last.pid).length === 0, 'the encoder to go with its browser');
}));

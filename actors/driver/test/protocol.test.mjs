import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { isAlive, until, withDriver, writeExecutable, writeSleeper } from './harness.mjs';

test('sends hello with its versions and process id', withDriver(async (driver) => {
  const hello = await driver.event('hello');
  assert.deepEqual(hello, { type: 'hello', playwright: '1.62.1', node: process.versions.node, pid: driver.process.pid });
}));

test('answers invalid commands, and continues', withDriver(async (driver) => {
  const lines = [
    ['nonsense', /not JSON/],
    ['[1]', /one JSON object/],
    [{ type: 'dance', id: 'a' }, /unknown type "dance": one of launch, close, open, discard_contexts, read_cookies, write_cookies, check, ping/],
    [{ type: 'close' }, /id is missing/],
    [{ type: 'open', id: 'a', request: 'r', url: 'x', wait: 'never', timeout_ms: 1 }, /wait is "never": it must be one of/],
    [{ type: 'launch', id: 'a' }, /options is missing/],
  ];
  for (const [line] of lines) driver.send(line);
  driver.launch('a', { window: { width: 0, height: 5 } });
  driver.launch('b', { directory: 'relative' });
  driver.send({ type: 'close', id: 'unknown' });
  await driver.event('exited', { id: 'unknown', reason: 'unknown', requested: true, code: null, signal: null });
  const errors = driver.events.filter(({ type }) => type === 'invalid').map(({ error }) => error);
  assert.equal(errors.length, lines.length + 2);
  lines.forEach(([, pattern], index) => assert.match(errors[index], pattern));
  assert.match(errors.at(-2), /window is .* pixels/);
  assert.match(errors.at(-1), /directory is "relative": it must be an absolute path/);
}));

test('refuses a second launch with the same id, and commands for a missing browser', withDriver(async (driver) => {
  const pidFile = path.join(driver.directory, 'pids');
  const executable = writeSleeper(path.join(driver.directory, 'sleeper'), pidFile);
  driver.launch('a', { executable });
  driver.launch('a', { executable });
  assert.match((await driver.event('invalid')).error, /launch a exists already/);
  assert.match((await driver.done({ type: 'discard_contexts', id: 'a' })).error, /no browser a is ready/);
  assert.match((await driver.done({ type: 'open', id: 'z', url: 'about:blank', wait: 'load', timeout_ms: 100 })).error, /no browser z/);
}));

test('describes a failed launch in one line', withDriver(async (driver) => {
  const broken = writeExecutable(
    path.join(driver.directory, 'bin', 'broken'),
    '#!/bin/sh\necho "*** You are running in headless mode." >&2\nprintf "\\033[31mlibxul.so: cannot open shared object file\\033[0m\\n" >&2\nexit 7\n',
  );
  const sleeper = writeSleeper(path.join(driver.directory, 'sleeper'), path.join(driver.directory, 'pids'));
  const plain = path.join(driver.directory, 'bin', 'plain');
  fs.writeFileSync(plain, '');
  driver.launch('missing', { executable: '/nowhere/firefox' });
  driver.launch('plain', { executable: plain });
  driver.launch('broken', { executable: broken });
  driver.launch('slow', { executable: sleeper, timeout_ms: 400 });
  const error = async (id) => (await driver.event('launch_failed', { id })).error;
  assert.equal(await error('missing'), '/nowhere/firefox does not exist: install the browser or correct its path');
  assert.match(await error('plain'), /plain can't be executed \(EACCES\)/);
  assert.equal(await error('broken'), `${broken} ended with exit status 7 before it was ready; it printed: libxul.so: cannot open shared object file`);
  const slow = await driver.event('launch_failed', { id: 'slow' });
  assert.match(slow.error, /^[^\n]*sleeper: it was not ready within 400 ms$/);
  assert.deepEqual([slow.timed_out, (await driver.event('launch_failed', { id: 'broken' })).timed_out], [true, false]);
  const pids = fs.readFileSync(path.join(driver.directory, 'pids'), 'utf8').trim().split(' ');
  await until(() => !pids.some(isAlive), 'the slow browser to be gone');
}));

test('close cancels a launch in progress', withDriver(async (driver) => {
  const pidFile = path.join(driver.directory, 'pids');
  driver.launch('a', { executable: writeSleeper(path.join(driver.directory, 'sleeper'), pidFile) });
  await until(() => fs.existsSync(pidFile), 'the browser process');
  const pids = fs.readFileSync(pidFile, 'utf8').trim().split(' ');
  driver.send({ type: 'close', id: 'a' });
  assert.equal((await driver.event('launch_failed', { id: 'a' })).error, 'closed before it was ready');
  await until(() => !pids.some(isAlive), 'its processes to be gone');
  // Closing before there is any process must work too.
  driver.launch('b', { executable: writeSleeper(path.join(driver.directory, 'sleeper'), pidFile) });
  driver.send({ type: 'close', id: 'b' });
  assert.equal((await driver.event('launch_failed', { id: 'b' })).error, 'closed before it was ready');
  assert.equal(driver.events.some(({ type }) => type === 'exited'), false);
}));

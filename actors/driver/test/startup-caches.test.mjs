import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { firefox } from 'playwright-core';
import { until, withDriver } from './harness.mjs';

/** The cache of compiled scripts in a launch's profile, once its browser has written or read it. */
function cache(driver, id, name) {
  const tmp = path.join(driver.directoryOf(id), 'tmp');
  const profile = fs.readdirSync(tmp).find((entry) => entry.includes('profile'));
  return fs.statSync(path.join(tmp, profile, 'startupCache', name), { throwIfNoEntry: false });
}

async function works({ endpoint }) {
  const client = await firefox.connect(endpoint);
  const page = await (await client.newContext()).newPage();
  await page.goto('data:text/html,<title>here</title>');
  assert.equal(await page.title(), 'here');
  await client.close();
}

test('a browser starts with the start-up caches of a running one, and others start with its', withDriver(async (driver) => {
  await Promise.all([driver.launched('first'), driver.launched('too early')]);
  assert.equal(cache(driver, 'too early', 'scriptCache-current.bin'), undefined, 'there were none to have');
  await until(() => cache(driver, 'first', 'scriptCache.bin') && cache(driver, 'too early', 'scriptCache.bin'), 'the caches to be written');
  driver.send({ type: 'close', id: 'too early' });
  await driver.event('exited', { id: 'too early' });

  const second = await driver.launched('second');
  const shared = cache(driver, 'first', 'scriptCache.bin').ino;
  assert.equal(cache(driver, 'second', 'scriptCache-current.bin').ino, shared, 'it has read them');
  await works(second);

  driver.send({ type: 'close', id: 'first' });
  await driver.event('exited', { id: 'first' });
  const third = await driver.launched('third');
  assert.equal(cache(driver, 'third', 'scriptCache-current.bin').ino, shared, 'they outlive who made them');
  await works(third);
  await works(second);
}));

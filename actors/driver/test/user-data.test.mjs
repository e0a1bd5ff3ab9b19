/** Stored user data between two browsers, without any. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { copyTlsOnly, restoreTlsOnly } from '../lib/userData.mjs';

const FILE = 'SiteSecurityServiceState.bin';

test('what a browser clears at its end is put back, also by the launch after a killed driver', () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'driver-'));
  const file = path.join(directory, FILE);
  try {
    // A new profile has none.
    copyTlsOnly(directory);
    restoreTlsOnly(directory);
    assert.deepEqual(fs.readdirSync(directory), []);
    restoreTlsOnly(path.join(directory, 'not made yet'));

    const content = Buffer.from([0, 255, 7]);
    fs.writeFileSync(file, content);
    copyTlsOnly(directory);
    fs.writeFileSync(file, '');
    restoreTlsOnly(directory);
    assert.deepEqual(fs.readFileSync(file), content);

    // The browser deleted it, and the driver was killed before it could put it back.
    copyTlsOnly(directory);
    fs.rmSync(file);
    restoreTlsOnly(directory);
    assert.deepEqual(fs.readFileSync(file), content);
    assert.deepEqual(fs.readdirSync(directory), [FILE]);
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

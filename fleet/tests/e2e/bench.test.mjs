/** The measurements of bench/ name the missing command where only a checkout was built. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from './helpers/camofleet.mjs';

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));
const SCRIPTS = fs.readdirSync(path.join(REPOSITORY, 'bench')).filter((name) => name.endsWith('.mjs') && name !== 'helper.mjs');
const E2E = 'fleet/tests/e2e';
let checkout;

/** Runs one in a copy of the checkout, with these files in place of the binary. */
function start(script, binary) {
  return new Promise((resolve) => {
    const env = { ...process.env, CAMOFLEET_BIN: binary };
    execFile(process.execPath, [path.join(checkout, 'bench', script)], { env, timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ status: error?.code ?? 0, stdout, stderr });
    });
  });
}

before(() => {
  checkout = temporaryDirectory();
  for (const directory of ['bench', `${E2E}/helpers`]) fs.cpSync(path.join(REPOSITORY, directory), path.join(checkout, directory), { recursive: true });
});

after(() => fs.rmSync(checkout, { recursive: true, force: true }));

for (const script of SCRIPTS) {
  test(`bench/${script} without the tests’ packages names the command that installs them`, async () => {
    const { status, stdout, stderr } = await start(script, process.execPath);
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^Cannot find package '[\w-]+': run `make setup-tests` first[^\n]*\n$/);
  });

  test(`bench/${script} without the binary names the command that builds it`, async () => {
    const { status, stdout, stderr } = await start(script, path.join(checkout, 'no-binary'));
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /no-binary is missing: run `make build` first/);
  });
}

/** What `make docs` installs: only what the documentation needs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Runs the command in a copy of the checkout's scripts, where every program that installs something only records it. */
function installs(arguments_) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'camofleet-setup-'));
  try {
    fs.cpSync(path.join(ROOT, 'scripts'), path.join(directory, 'scripts'), { recursive: true });
    for (const name of ['docs', 'frontend', 'actors/driver', 'fleet/tests/e2e']) {
      fs.mkdirSync(path.join(directory, name), { recursive: true });
      for (const file of ['package.json', 'package-lock.json']) fs.writeFileSync(path.join(directory, name, file), '{}');
    }
    const programs = path.join(directory, 'programs');
    const record = path.join(directory, 'record');
    fs.mkdirSync(programs);
    fs.writeFileSync(record, '');
    for (const name of ['npm', 'apt-get', 'sudo', 'rustup', 'python3', 'dpkg-deb']) {
      fs.writeFileSync(path.join(programs, name), `#!/bin/sh\necho "${name} $*" >> '${record}'\n`, { mode: 0o755 });
    }
    // No package is installed.
    fs.writeFileSync(path.join(programs, 'dpkg-query'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    const env = { ...process.env, PATH: `${programs}:${path.dirname(process.execPath)}:/usr/bin:/bin` };
    execFileSync('bash', ['scripts/setup.sh', ...arguments_], { cwd: directory, env, stdio: 'pipe' });
    return fs.readFileSync(record, 'utf8').trim().split('\n');
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

test('the documentation needs its own npm packages, and no Rust, no Debian package and nothing of the tests', () => {
  assert.deepEqual(installs(['--docs']), ['npm --prefix docs ci --no-audit --no-fund --loglevel=error']);
});

for (const target of ['docs', 'docs-serve']) {
  test(`make ${target} installs that alone`, () => {
    const commands = execFileSync('make', ['--dry-run', '--directory', ROOT, target], { encoding: 'utf8' });
    assert.deepEqual(commands.match(/scripts\/setup\.sh.*/g), ['scripts/setup.sh --docs']);
  });
}

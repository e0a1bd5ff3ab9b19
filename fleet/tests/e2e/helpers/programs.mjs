/** Environments without a program, or with a broken one. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

/**
 * Makes a directory for PATH that contains only these programs.
 *
 * @param {string} home where to make it
 * @param {...string} programs their names
 * @returns {string} the directory
 */
export function pathWith(home, ...programs) {
  const directory = fs.mkdtempSync(path.join(home, 'path-'));
  for (const program of programs) {
    const found = process.env.PATH.split(':').map((entry) => path.join(entry, program)).find((file) => fs.existsSync(file));
    assert.ok(found, `${program} is not installed`);
    fs.symlinkSync(found, path.join(directory, program));
  }
  return directory;
}

/**
 * Writes a shell script in place of a program.
 *
 * @param {string} home where to make a directory for it
 * @param {string} name the program's name
 * @param {string} script what it does instead
 * @returns {string} its path
 */
export function standIn(home, name, script) {
  const file = path.join(fs.mkdtempSync(path.join(home, 'bin-')), name);
  fs.writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}

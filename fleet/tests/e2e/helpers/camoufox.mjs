/** A stand-in of Camoufox, with what its own library reads beside it, and a small model for the library. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));
const IDENTITY = path.join(REPOSITORY, 'actors/identity');
const PYTHON = path.join(IDENTITY, '.venv/bin/python');
const BROWSER = path.join(REPOSITORY, 'actors/driver/test/standin-camoufox.mjs');

/** An installation in a directory, which the test removes. */
export class StandInCamoufox {
  /** @param {string} directory an existing directory */
  constructor(directory) {
    this.installation = path.join(directory, 'camoufox');
    this.executable = path.join(this.installation, 'camoufox-bin');
    this.records = path.join(directory, 'records');
    fs.mkdirSync(this.records);
    this.env = JSON.parse(execFileSync(PYTHON, ['-B', path.join(IDENTITY, 'tests/standin.py'), directory], { encoding: 'utf8' }));
    const start = `exec "${process.execPath}" "${BROWSER}" "${this.records}" "$@"`;
    fs.writeFileSync(this.executable, `#!/bin/sh\n${start}\n`, { mode: 0o755 });
  }

  /** The settings of a camofleet that uses it. */
  settings() {
    return {
      RUNNER_ENGINE: 'camoufox',
      RUNNER_CAMOUFOX_PATH: this.installation,
      RUNNER_PASS_ENVIRONMENT: Object.keys(this.env).join(','),
      ...this.env,
    };
  }

  /** Gives it the version file of another build. */
  becomes(version, build) {
    fs.writeFileSync(path.join(this.installation, 'version.json'), JSON.stringify({ version, build }));
  }

  /** What the process of a browser was started with. */
  recorded(pid) {
    return JSON.parse(fs.readFileSync(path.join(this.records, `${pid}.json`), 'utf8'));
  }

  /** What Camoufox' own library returns for these options and this seed, without anything of camofleet. */
  library(options) {
    const script = path.join(IDENTITY, 'tests/reference.py');
    const input = JSON.stringify({ executable: this.executable, ...options });
    const env = { PATH: process.env.PATH, HOME: this.records, PYTHONHASHSEED: '0', ...this.env };
    return JSON.parse(execFileSync(PYTHON, ['-B', script], { input, env, encoding: 'utf8' }));
  }
}

/** Joins the text that an environment has in the variables `<name>_1…n`, as Camoufox does. */
export function joined(env, name) {
  let text = '';
  for (let at = 1; env[`${name}_${at}`] !== undefined; at += 1) text += env[`${name}_${at}`];
  return text;
}

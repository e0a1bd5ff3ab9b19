/** User data that outlives its browser: the profile of one person, in a directory of camofleet's. */
import fs from 'node:fs';
import path from 'node:path';

/** Names the preferences that the last launch set, in the user data's directory. */
const RECORD = 'camofleet-preferences.json';

/** Where Firefox keeps the preferences that differ from its defaults, one call of `user_pref` in each line. */
const STORED = 'prefs.js';

/** Where Firefox keeps which sites are to be reached over TLS only (HSTS), and the copy of that. */
const [TLS_ONLY, TLS_ONLY_COPY] = ['SiteSecurityServiceState.bin', 'camofleet-hsts.bin'];

/** The name in a line of `prefs.js`. Firefox escapes quotes and backslashes in it. */
const NAME = /^user_pref\("((?:[^"\\]|\\.)*)",/;

/**
 * Removes from stored user data what the previous launch set and this one does not, and records what this one sets: Firefox
 * stores all preferences it is given, so they would be those of every later session.
 *
 * @param {string} directory the user data's directory, which may not exist yet
 * @param {Record<string, string|number|boolean>} preferences what this launch sets
 * @returns {void}
 * @throws {Error} when a file can't be read or written
 */
export function forgetPreferences(directory, preferences) {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const record = path.join(directory, RECORD);
  const outdated = new Set(readNames(record).filter((name) => !Object.hasOwn(preferences, name)));
  if (outdated.size > 0) {
    const stored = path.join(directory, STORED);
    const lines = readText(stored).split('\n');
    replaceFile(stored, lines.filter((line) => !outdated.has(NAME.exec(line)?.[1])).join('\n'));
  }
  replaceFile(record, JSON.stringify(Object.keys(preferences)));
}

/**
 * Copies what a stock Firefox forgets when its WebDriver session is closed: which sites are to be reached over TLS only.
 *
 * @param {string} directory the user data's directory
 * @returns {void}
 * @throws {Error} when it can't be copied
 */
export function copyTlsOnly(directory) {
  const file = path.join(directory, TLS_ONLY);
  if (fs.existsSync(file)) replaceFile(path.join(directory, TLS_ONLY_COPY), fs.readFileSync(file));
}

/**
 * Puts the copy back, if there is one, once no browser has the user data. A driver that was killed left it to the next launch.
 *
 * @param {string} directory the user data's directory, which may not exist yet
 * @returns {void}
 * @throws {Error} when it can't be put back
 */
export function restoreTlsOnly(directory) {
  const copy = path.join(directory, TLS_ONLY_COPY);
  if (fs.existsSync(copy)) fs.renameSync(copy, path.join(directory, TLS_ONLY));
}

/** The recorded names; none if the record is missing or was damaged by a crash. */
function readNames(record) {
  try {
    const names = JSON.parse(readText(record) || '[]');
    return Array.isArray(names) ? names : [];
  } catch {
    return [];
  }
}

/**
 * Reads a file of user data.
 *
 * @param {string} file its path
 * @returns {string} its text; empty if it does not exist
 * @throws {Error} when it can't be read
 */
export function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}

/**
 * Replaces a file of user data as a whole, so that a crash leaves the old or the new one.
 *
 * @param {string} file its path
 * @param {string|Buffer} content its new content
 * @returns {void}
 * @throws {Error} when it can't be written
 */
export function replaceFile(file, content) {
  const next = `${file}.camofleet`;
  const written = fs.openSync(next, 'w', 0o600);
  try {
    fs.writeFileSync(written, content);
    // Renamed before it is on the disk, it could be empty after a power loss.
    fs.fsyncSync(written);
  } finally {
    fs.closeSync(written);
  }
  fs.renameSync(next, file);
}

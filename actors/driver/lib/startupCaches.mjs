/**
 * Gives a new browser the start-up caches of a running one.
 *
 * With a new profile Firefox compiles the scripts of its user interface and writes the result to the profile
 * a few seconds later. With the caches of another browser it starts a fifth faster and uses a seventh less
 * memory (docs/adr/0016-browsers-share-start-up-caches.md). The files are shared by hard links: they cost
 * nothing, and exist as long as any profile has them.
 */
import fs from 'node:fs';
import path from 'node:path';

const DIRECTORY = 'startupCache';

/**
 * The compiled scripts of the browser's main process and of its content processes; they contain nothing of
 * any web page. Firefox replaces these files instead of changing them, and renames one that it has read
 * (`js/xpconnect/loader/ScriptPreloader.cpp`). Its other caches are changed in place, so they can't be
 * shared.
 */
const CACHES = ['scriptCache', 'scriptCache-child'];
const written = (cache) => `${cache}.bin`;
const read = (cache) => `${cache}-current.bin`;

/**
 * Contains the Firefox version that last used the profile; after another version Firefox discards the caches.
 */
const COMPATIBILITY = 'compatibility.ini';

/**
 * Links the start-up caches of the first donor that has them into a new profile. A profile with caches of its
 * own keeps them.
 *
 * @param {string} profile the directory of a profile whose browser has not started yet
 * @param {string[]} donors profiles of running browsers of the same installation
 * @returns {boolean} whether any had them; otherwise the browser creates its own
 */
export function shareStartupCaches(profile, donors) {
  const target = path.join(profile, DIRECTORY);
  if ([target, path.join(profile, COMPATIBILITY)].some((file) => fs.existsSync(file))) return false;
  return donors.some((donor) => {
    const made = [];
    try {
      fs.mkdirSync(target);
      for (const cache of CACHES) {
        const link = path.join(target, written(cache));
        linkFirst(path.join(donor, DIRECTORY), [read(cache), written(cache)], link);
        made.push(link);
      }
      fs.copyFileSync(path.join(donor, COMPATIBILITY), path.join(profile, COMPATIBILITY), fs.constants.COPYFILE_EXCL);
      return true;
    } catch {
      // This donor has not written them yet, or is being removed. Only the links made so far are removed.
      for (const link of made) fs.rmSync(link, { force: true });
      if (fs.existsSync(target)) fs.rmdirSync(target);
      return false;
    }
  });
}

/** Links the first existing one of a directory's files. */
function linkFirst(directory, names, target) {
  const found = names.map((name) => path.join(directory, name)).find((file) => fs.existsSync(file));
  if (!found) throw new Error(`${directory} has none of ${names}`);
  fs.linkSync(found, target);
}

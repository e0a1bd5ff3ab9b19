/**
 * Firefox' start-up caches, which a new browser has from one that runs.
 *
 * A browser in a new profile compiles the scripts of its own user interface, and writes the result to its profile a few
 * seconds later. With the caches of another browser it is up a fifth sooner and holds a seventh less memory
 * (docs/adr/0016-browsers-share-start-up-caches.md). They are the same files, by hard links: they cost nothing, and last as
 * long as anybody has them.
 */
import fs from 'node:fs';
import path from 'node:path';

const DIRECTORY = 'startupCache';

/**
 * The compiled scripts of the browser's main process and of its content processes; they hold nothing of any web page.
 * Firefox puts a new file in a cache's place instead of changing it, and renames one that it has read
 * (`js/xpconnect/loader/ScriptPreloader.cpp`). Its other caches it changes in place, so those can't be shared.
 */
const CACHES = ['scriptCache', 'scriptCache-child'];
const written = (cache) => `${cache}.bin`;
const read = (cache) => `${cache}-current.bin`;

/** Tells which Firefox had the profile last: of any other, or of none, it throws the caches away. */
const COMPATIBILITY = 'compatibility.ini';

/**
 * Gives a new profile the start-up caches of the first profile that has them. A profile that has any of its own keeps them.
 *
 * @param {string} profile the directory of a profile whose browser has not started yet
 * @param {string[]} donors profiles of running browsers of the same installation
 * @returns {boolean} whether any had them; without them the browser makes its own
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
      // This one has not written them yet, or is going just now. What was linked goes again, and nothing else.
      for (const link of made) fs.rmSync(link, { force: true });
      if (fs.existsSync(target)) fs.rmdirSync(target);
      return false;
    }
  });
}

/** Links the first of a directory's files that exists. */
function linkFirst(directory, names, target) {
  const found = names.map((name) => path.join(directory, name)).find((file) => fs.existsSync(file));
  if (!found) throw new Error(`${directory} has none of ${names}`);
  fs.linkSync(found, target);
}

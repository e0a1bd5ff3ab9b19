/** Fingerprints: how Camoufox is asked to start, with the identity that `camoufox-js` invents for it. */
import { randomInt } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { browserEnvironment } from './firefox.mjs';

/** Holds a `.cache/camoufox/version.json` and nothing else. See `loadLibrary`. */
const HOME_FOR_LIBRARY = fileURLToPath(new URL('./camoufox-home', import.meta.url));

/** Seeds that Camoufox 2 added and that the library does not draw: without them all browsers sound and draw alike. */
const EXTRA_SEEDS = ['audio:seed', 'canvas:seed'];

/** @type {Promise<typeof import('camoufox-js')>|null} */
let library = null;

/**
 * Builds what Playwright's `launchServer` needs for Camoufox, with a fresh fingerprint.
 *
 * It never waits on the network: no add-on is fetched and no address is looked up.
 *
 * @param {object} options the checked options of a launch command
 * @returns {Promise<object>} options for `firefox.launchServer`
 * @throws {Error} when `camoufox-js` is not installed, or the Camoufox install is incomplete or too different
 */
export async function camoufoxOptions(options) {
  const properties = readProperties(options.executable);
  const { launchOptions } = await loadLibrary();
  const request = {
    executable_path: options.executable,
    ff_version: majorVersion(options),
    headless: options.headless,
    exclude_addons: ['UBO'],
    i_know_what_im_doing: true,
    block_webrtc: options.block_webrtc,
    env: browserEnvironment(options),
    firefox_user_prefs: { ...options.preferences },
  };
  const built = await fitToDisplay(launchOptions, request, options.window, properties).catch((error) => {
    if (!/^(Unknown property|Invalid type for property)/.test(error.message)) throw error;
    throw new Error(`${error.message}: this Camoufox and camoufox-js do not fit together, update the older of them`, { cause: error });
  });
  built.env.FONTCONFIG_PATH = bundledFonts(options, built.env.FONTCONFIG_PATH);
  if (!built.env.FONTCONFIG_PATH) delete built.env.FONTCONFIG_PATH;
  return built;
}

/**
 * Loads `camoufox-js` at the first use, for it takes a second and need not be installed for a stock Firefox.
 *
 * Whatever executable it is given, the library insists on its own install below HOME: where that is missing or
 * laid out differently, it empties the directory and downloads a browser. So while it loads (it looks up HOME
 * only then), HOME is a directory whose version file satisfies it.
 *
 * @returns {Promise<typeof import('camoufox-js')>} the library
 * @throws {Error} when it is not installed
 */
function loadLibrary() {
  library ??= (async () => {
    const home = process.env.HOME;
    process.env.HOME = HOME_FOR_LIBRARY;
    try {
      return await import('camoufox-js');
    } catch (error) {
      library = null;
      throw new Error(`camoufox-js can't be loaded (${error.message}): run "npm ci" in the driver's folder, with a C++ compiler at hand`, { cause: error });
    } finally {
      if (home === undefined) delete process.env.HOME;
      else process.env.HOME = home;
    }
  })();
  return library;
}

/**
 * Draws a fingerprint whose screen is the display, so that the real window, which covers the display, fits it.
 * Of unusual displays there is no real-world sample: any sample is then taken, and told the display's size.
 */
async function fitToDisplay(launchOptions, request, window, properties) {
  const known = (config) => Object.fromEntries(Object.entries(config).filter(([name]) => name in properties));
  const seeds = Object.fromEntries(EXTRA_SEEDS.map((name) => [name, randomInt(1, 2 ** 32 - 1)]));
  const attempt = (extra) => launchOptions({ ...request, env: { ...request.env }, ...extra });
  if (!window) return attempt({ config: known(seeds) });

  const { width, height } = window;
  const screen = {
    'screen.width': width,
    'screen.height': height,
    'screen.availWidth': width,
    'screen.availHeight': height,
    'screen.availLeft': 0,
    'screen.availTop': 0,
    'window.outerWidth': width,
    'window.outerHeight': height,
    'window.screenX': 0,
    'window.screenY': 0,
  };
  const same = { minWidth: width, maxWidth: width, minHeight: height, maxHeight: height };
  const config = () => known({ ...seeds, ...screen });
  try {
    return await attempt({ config: config(), window: [width, height], screen: same });
  } catch (error) {
    if (!/No headers based on this input/.test(error.message)) throw error;
    return attempt({ config: config(), window: [width, height] });
  }
}

/**
 * Reads which properties this Camoufox understands.
 *
 * @returns {Record<string, string>} their types by name
 * @throws {Error} when the install is incomplete
 */
function readProperties(executable) {
  const file = path.join(path.dirname(executable), 'properties.json');
  try {
    return Object.fromEntries(JSON.parse(fs.readFileSync(file, 'utf8')).map(({ property, type }) => [property, type]));
  } catch (error) {
    throw new Error(`${file} can't be read (${error.message}): this Camoufox install is incomplete, fetch it again`, { cause: error });
  }
}

/**
 * The Firefox version that the fingerprint shows: the one it really is.
 *
 * @throws {Error} when neither the command nor the install tells it
 */
function majorVersion(options) {
  const text = options.version ?? versionBeside(options.executable);
  const major = Number.parseInt(text, 10);
  if (!Number.isInteger(major)) throw new Error(`"${text}" is no Firefox version: give one like "135.0.1"`);
  return major;
}

/** The version that an install's `version.json` names. */
function versionBeside(executable) {
  const file = path.join(path.dirname(executable), 'version.json');
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).version;
  } catch (error) {
    throw new Error(`${file} can't be read (${error.message}): give the version in the command, or fetch Camoufox again`, { cause: error });
  }
}

/**
 * The fonts of the system that the fingerprint claims to be, inside this Camoufox (the library looks in its own
 * install only). An install without them leaves the system's fonts, as camofleet's environment has them.
 */
function bundledFonts(options, suggestion) {
  const system = path.basename(suggestion ?? '');
  const install = path.dirname(options.executable);
  const found = ['fontconfig', 'fontconfigs'].map((folder) => path.join(install, folder, system)).find((folder) => fs.existsSync(folder));
  return found ?? options.env.FONTCONFIG_PATH;
}

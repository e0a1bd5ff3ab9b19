/** Launch options for Camoufox. What makes it a machine is drawn by its own library, outside of the driver. */
import { browserEnvironment } from './firefox.mjs';

/**
 * Builds Playwright's `launchServer` options for Camoufox.
 *
 * @param {object} options the validated options of a launch command
 * @returns {object} options for `firefox.launchServer`
 */
export function camoufoxOptions(options) {
  const { machine, executable, headless, preferences } = options;
  return {
    executablePath: executable,
    headless,
    args: machine.arguments,
    env: { ...browserEnvironment(options), ...machine.env },
    firefoxUserPrefs: preferences,
  };
}

/** Launch options for a Firefox of either engine: arguments, preferences, environment. */
import fs from 'node:fs';
import path from 'node:path';

/**
 * Disables first-run pages, prompts and banners. camofleet's own preferences override these; Playwright's
 * defaults have the lowest precedence.
 */
const QUIET_PREFERENCES = Object.freeze({
  'app.normandy.enabled': false,
  'app.shield.optoutstudies.enabled': false,
  'browser.aboutwelcome.enabled': false,
  'browser.discovery.enabled': false,
  'browser.messaging-system.whatsNewPanel.enabled': false,
  'browser.newtabpage.activity-stream.asrouter.userprefs.cfr.addons': false,
  'browser.newtabpage.activity-stream.asrouter.userprefs.cfr.features': false,
  'browser.preonboarding.enabled': false,
  'browser.rights.3.shown': true,
  'browser.shell.checkDefaultBrowser': false,
  'browser.shell.didSkipDefaultBrowserCheckOnFirstRun': true,
  'browser.startup.homepage_override.mstone': 'ignore',
  'browser.startup.page': 0,
  'browser.tabs.warnOnClose': false,
  'browser.translations.automaticallyPopup': false,
  'browser.uitour.enabled': false,
  'browser.warnOnQuit': false,
  // No preallocated content processes: they are a third of an idle browser's memory, and of the time it takes
  // to end.
  'dom.ipc.processPrelaunch.enabled': false,
  // Profiles live for minutes: the default history database would mean 8 MB to write and remove each time.
  'places.database.growthIncrementKiB': 256,
  'places.favicons.growthIncrementKiB': 256,
  'datareporting.healthreport.uploadEnabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'datareporting.policy.dataSubmissionPolicyBypassNotification': true,
  'datareporting.usage.uploadEnabled': false,
  'termsofuse.bypassNotification': true,
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.reportingpolicy.firstRun': false,
  'toolkit.telemetry.unified': false,
});

/** Disables WebRTC and its network process. */
const NO_WEBRTC = Object.freeze({ 'media.peerconnection.enabled': false, 'network.process.enabled': false });

/** What is stored may be a person's: their passwords are offered to be saved, and filled in. Playwright switches both off. */
const PERSONAL = Object.freeze({ 'signon.rememberSignons': true, 'signon.autofillForms': true });

/** The preference that makes Firefox read `chrome/userChrome.css` from its profile. */
const OWN_STYLES = { 'toolkit.legacyUserProfileCustomizations.stylesheets': true };

/**
 * Hides the striped address bar, the robot icon and the `webdriver-…` container label; the preferences for
 * that work only in Mozilla's test runs.
 */
const HIDE_REMOTE_CONTROL_CUES = `
:root[remotecontrol] .urlbar-background { background-image: none !important; }
#remote-control-box, #userContext-icons { display: none !important; }
.tabbrowser-tab .tab-context-line { display: none !important; }
`;

/**
 * Builds Playwright's `launchServer` options for a stock Firefox over WebDriver BiDi.
 *
 * @param {object} options the validated options of a launch command
 * @returns {object} options for `firefox.launchServer`
 */
export function stockFirefoxOptions(options) {
  return {
    channel: 'moz-firefox',
    executablePath: options.executable,
    headless: options.headless,
    env: browserEnvironment(options),
    firefoxUserPrefs: {
      ...QUIET_PREFERENCES,
      ...(options.user_data ? PERSONAL : {}),
      ...(options.headless ? {} : OWN_STYLES),
      ...(options.block_webrtc ? NO_WEBRTC : {}),
      ...options.preferences,
    },
  };
}

/**
 * The browser's environment: camofleet's, with this launch's temporary directory, without variables that
 * would override its fingerprint, without Mozilla's crash reporter, and with a virtual screen of the window's
 * size when it is headless.
 *
 * @param {object} options the validated options of a launch command
 * @returns {Record<string, string>} the complete environment
 */
export function browserEnvironment(options) {
  const env = withoutMachine(options.env);
  // camofleet reports crashes itself, and the reporter would be a process outside of the browser's group.
  env.MOZ_CRASHREPORTER_DISABLE = '1';
  env.TMPDIR = temporaryDirectory(options.directory);
  if (options.headless && options.window) {
    env.MOZ_HEADLESS_WIDTH = String(options.window.width);
    env.MOZ_HEADLESS_HEIGHT = String(options.window.height);
  }
  return env;
}

/** How the names of the variables begin that make a Camoufox a machine. */
const MACHINE_VARIABLES = ['CAMOU_CONFIG', 'CAMOU_PREFS'];

/**
 * Copies an environment without any `CAMOU_CONFIG…` and `CAMOU_PREFS…`, which Camoufox would follow.
 *
 * @param {Record<string, string>} env an environment
 * @returns {Record<string, string>} a copy that makes it no machine
 */
export function withoutMachine(env) {
  const isOfMachine = (name) => MACHINE_VARIABLES.some((beginning) => name.startsWith(beginning));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isOfMachine(name)));
}

/**
 * The temporary directory of a launch.
 *
 * @param {string} directory the launch's directory
 * @returns {string} its temporary directory
 */
export function temporaryDirectory(directory) {
  return path.join(directory, 'tmp');
}

/**
 * Finds the profile that Playwright created for a browser.
 *
 * @param {string[]} args the browser's arguments
 * @returns {string|null} the profile's directory; null if the arguments name none
 */
export function profileOf(args) {
  const profile = args[args.findIndex((argument) => /^--?profile$/.test(argument)) + 1];
  return profile && path.isAbsolute(profile) ? profile : null;
}

/**
 * Prepares a profile just before its browser starts, when the directory that Playwright created is known.
 *
 * Every window has to cover the display, which has no window manager. The profile says so as if the user had
 * left the last window like that, because `--width=1920` makes Firefox open `http://1920/` as well.
 *
 * @param {string} profile the profile's directory
 * @param {object} options the validated options of a launch command
 * @returns {void}
 * @throws {Error} when the profile can't be written
 */
export function prepareProfile(profile, { engine, headless, window, machine }) {
  const { x, y, width, height } = machine?.window ?? { x: 0, y: 0, ...window };
  if (width) {
    const [screenX, screenY] = [String(x), String(y)];
    const place = { screenX, screenY, width: String(width), height: String(height), sizemode: 'normal' };
    const store = { 'chrome://browser/content/browser.xhtml': { 'main-window': place } };
    fs.writeFileSync(path.join(profile, 'xulstore.json'), JSON.stringify(store));
  }
  if (engine === 'firefox' && !headless) {
    const chrome = path.join(profile, 'chrome');
    fs.mkdirSync(chrome, { recursive: true });
    fs.writeFileSync(path.join(chrome, 'userChrome.css'), HIDE_REMOTE_CONTROL_CUES);
  }
}

/** How a Firefox of either engine is asked to start: arguments, preferences, environment. */
import fs from 'node:fs';
import path from 'node:path';

/**
 * Switches off what a person who takes over a browser did not come for: first-run pages, prompts, banners.
 * camofleet's own preferences override these; Playwright's own defaults stay below them.
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
  // Spare processes for pages to come: a third of an idle browser's memory, and of the time that its end takes.
  'dom.ipc.processPrelaunch.enabled': false,
  // A profile lives for minutes: room for years of history would be 8 MB to write and to remove each time.
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

/** Switches WebRTC off, and the process that does nothing but carry its packets. */
const NO_WEBRTC = Object.freeze({ 'media.peerconnection.enabled': false, 'network.process.enabled': false });

/** The preference that makes Firefox read `chrome/userChrome.css` from its profile. */
const OWN_STYLES = { 'toolkit.legacyUserProfileCustomizations.stylesheets': true };

/**
 * Hides the striped address bar, the robot and the `webdriver-…` container label: no preference does
 * outside Mozilla's own test runs.
 */
const HIDE_REMOTE_CONTROL_CUES = `
:root[remotecontrol] .urlbar-background { background-image: none !important; }
#remote-control-box, #userContext-icons { display: none !important; }
.tabbrowser-tab .tab-context-line { display: none !important; }
`;

/**
 * Builds what Playwright's `launchServer` needs for a stock Firefox over WebDriver BiDi.
 *
 * @param {object} options the checked options of a launch command
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
      ...(options.headless ? {} : OWN_STYLES),
      ...(options.block_webrtc ? NO_WEBRTC : {}),
      ...options.preferences,
    },
  };
}

/**
 * The browser's environment: camofleet's, with this launch's temporary directory, without what would
 * override its fingerprint, without Mozilla's crash reporter, and with a virtual screen of the window's size
 * when it is headless.
 *
 * @param {object} options the checked options of a launch command
 * @returns {Record<string, string>} the complete environment
 */
export function browserEnvironment(options) {
  const env = withoutFingerprint(options.env);
  // A crash is camofleet's to tell of; the reporter is a process outside the browser's group.
  env.MOZ_CRASHREPORTER_DISABLE = '1';
  env.TMPDIR = temporaryDirectory(options.directory);
  if (options.headless && options.window) {
    env.MOZ_HEADLESS_WIDTH = String(options.window.width);
    env.MOZ_HEADLESS_HEIGHT = String(options.window.height);
  }
  return env;
}

/**
 * Copies an environment without any `CAMOU_CONFIG…`: Camoufox would take an inherited one for its own.
 *
 * @param {Record<string, string>} env an environment
 * @returns {Record<string, string>} a copy that holds no fingerprint
 */
export function withoutFingerprint(env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('CAMOU_CONFIG')));
}

/**
 * Where everything temporary of a launch goes.
 *
 * @param {string} directory the launch's directory
 * @returns {string} its temporary directory
 */
export function temporaryDirectory(directory) {
  return path.join(directory, 'tmp');
}

/**
 * Finds the profile that Playwright made for a browser.
 *
 * @param {string[]} args the browser's arguments
 * @returns {string|null} the profile's directory; null where the arguments name none
 */
export function profileOf(args) {
  const profile = args[args.findIndex((argument) => /^--?profile$/.test(argument)) + 1];
  return profile && path.isAbsolute(profile) ? profile : null;
}

/**
 * Prepares a profile just before its browser starts: only then is the directory known that Playwright made.
 *
 * Every window gets the size of the display, which no window manager would give it here. The profile says so as
 * if the user had left the last window like that, for `--width=1920` makes Firefox open `http://1920/` as well.
 *
 * @param {string} profile the profile's directory
 * @param {object} options the checked options of a launch command
 * @returns {void}
 * @throws {Error} when the profile can't be written
 */
export function prepareProfile(profile, { engine, headless, window }) {
  if (window) {
    const place = { screenX: '0', screenY: '0', width: String(window.width), height: String(window.height), sizemode: 'normal' };
    const store = { 'chrome://browser/content/browser.xhtml': { 'main-window': place } };
    fs.writeFileSync(path.join(profile, 'xulstore.json'), JSON.stringify(store));
  }
  if (engine === 'firefox' && !headless) {
    const chrome = path.join(profile, 'chrome');
    fs.mkdirSync(chrome, { recursive: true });
    fs.writeFileSync(path.join(chrome, 'userChrome.css'), HIDE_REMOTE_CONTROL_CUES);
  }
}

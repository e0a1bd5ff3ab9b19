/** Turns errors of Playwright and Node into one line that helps the user. */
import { truncate } from './text.mjs';

const LONGEST_ERROR = 1000;
const MOST_BROWSER_LINES = 3;

// eslint-disable-next-line no-control-regex -- stripping terminal colours is the point
const TERMINAL_CODES = /\u001b\[[0-9;?]*[A-Za-z]/g;
const BOX_DRAWING = /[\u2500-\u257f]/g;

/** `page.goto: Protocol error (browsingContext.navigate): unknown error Message: Error: ` and shorter ones. */
const PLAYWRIGHT_PREFIX = /^(?:[a-zA-Z]+\.[a-zA-Z]+: )?(?:Protocol error \([\w.]+\): (?:unknown error )?)?(?:Message: )?(?:Error: )?/;

/** Lines that every healthy Firefox prints too, so they never explain a failure. */
const CHATTER = [
  /running in headless mode/i,
  /Gtk-(WARNING|Message|CRITICAL)/,
  /GLib-GIO|dconf|at-spi|dbus/i,
  /\[GFX1-\]|glxtest|libEGL|vaapi|Crash Annotation/i,
  /^console\.|JavaScript (error|warning)/,
  /WebDriver BiDi listening|DevTools listening/,
  /^\s*$/,
];

/**
 * Makes a text one line: no terminal codes, no boxes, single spaces, at most 1000 characters.
 *
 * @param {string} text any text
 * @returns {string} the line
 */
export function oneLine(text) {
  const line = text.replace(TERMINAL_CODES, '').replace(BOX_DRAWING, ' ').replace(/\s+/g, ' ').trim();
  return truncate(line, LONGEST_ERROR);
}

/**
 * Formats an error without Playwright's call log and stack.
 *
 * @param {unknown} error whatever was thrown
 * @returns {string} one line of at most 1000 characters
 */
export function describe(error) {
  const text = error instanceof Error ? error.message || error.name : String(error);
  const [said] = text.split(/\n\s*(?:Call log:|=+ logs =+|Browser logs:)/);
  return oneLine(said).replace(PLAYWRIGHT_PREFIX, '') || 'unknown error';
}

/**
 * Explains why a browser did not start: Playwright's message, how the process ended, and the relevant lines
 * of the browser's output.
 *
 * @param {unknown} error the launch error
 * @param {object} browser what is known of the browser
 * @param {string} browser.executable its path
 * @param {{code: number|null, signal: string|null}|null} browser.exit how it ended, or null if it did not end by itself
 * @param {string[]} browser.output the last lines of its output
 * @returns {string} one line of at most 1000 characters
 */
export function describeLaunchFailure(error, browser) {
  const playwright = describe(error).replace(/ Failed to launch browser\.$/, '');
  const said = browser.output
    .map(oneLine)
    .filter((line) => !CHATTER.some((pattern) => pattern.test(line)))
    .slice(-MOST_BROWSER_LINES);
  const parts = [];
  if (browser.exit) {
    const { code, signal } = browser.exit;
    const how = signal ? `was ended by ${signal}` : `ended with exit status ${code}`;
    parts.push(`${browser.executable} ${how} before it was ready`);
  } else {
    parts.push(playwright.startsWith(browser.executable) ? playwright : `${browser.executable}: ${playwright}`);
  }
  if (said.length > 0) parts.push(`it printed: ${said.join(' | ')}`);
  const remedy = remedyFor(`${playwright}\n${browser.output.join('\n')}`);
  if (remedy) parts.push(remedy);
  return oneLine(parts.join('; '));
}

/**
 * Finds the remedy for known launch failures.
 *
 * @param {string} text the messages of Playwright and the browser
 * @returns {string|null} what to do, or null when the cause is unknown
 */
function remedyFor(text) {
  if (/as root in a regular user's session|\$HOME folder isn't owned/.test(text)) {
    return 'set HOME in its environment to a directory that its user owns';
  }
  if (/no DISPLAY environment variable|cannot open display|without having a XServer/i.test(text)) {
    return 'launch it headless, or set DISPLAY to a running X server';
  }
  if (/error while loading shared libraries/.test(text)) {
    return "install the browser's missing system libraries";
  }
  return null;
}

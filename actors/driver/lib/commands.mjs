/** Parses and validates camofleet's commands, so that the rest of the driver gets valid types. */
import { truncate } from './text.mjs';

const ENGINES = ['firefox', 'camoufox'];
const WAITS = ['load', 'domcontentloaded'];
const LONGEST_TIMEOUT_MS = 3_600_000;

/** An invalid command; its message says what is wrong and what would be valid. */
export class InvalidCommand extends Error {
  /**
   * The launch and request of the invalid command, if known, so that it can be answered.
   *
   * @type {string|null}
   */
  id = null;
  /** @type {string|null} */
  request = null;
}

/**
 * Parses and validates one line from camofleet.
 *
 * @param {string} line one JSON object
 * @returns {object} the command, with every field that its type needs
 * @throws {InvalidCommand} when it is not a valid command
 */
export function parseCommand(line) {
  let command;
  try {
    command = JSON.parse(line);
  } catch (error) {
    throw new InvalidCommand(`not JSON: ${error.message}`);
  }
  if (!isObject(command)) throw new InvalidCommand('a command is one JSON object per line');
  try {
    const check = CHECKS[command.type];
    if (!check) throw new InvalidCommand(`unknown type ${show(command.type)}: one of ${Object.keys(CHECKS).join(', ')}`);
    if (command.type !== 'ping') requireField(command, 'id', isText, 'a non-empty string');
    if (!UNNUMBERED.includes(command.type)) requireField(command, 'request', isText, 'a non-empty string');
    check(command);
  } catch (error) {
    if (isText(command.id)) error.id = command.id;
    if (isText(command.request)) error.request = command.request;
    throw error;
  }
  return command;
}

/** Commands whose answer is not `done` with the number of a request. */
const UNNUMBERED = ['launch', 'close', 'ping'];

const checkFile = (command) => requireField(command, 'file', isAbsolutePath, 'an absolute path');

const CHECKS = {
  launch(command) {
    requireField(command, 'options', isObject, 'an object');
    const options = command.options;
    requireField(options, 'engine', (value) => ENGINES.includes(value), `one of ${ENGINES.join(', ')}`);
    requireField(options, 'executable', isAbsolutePath, 'an absolute path');
    requireField(options, 'directory', isAbsolutePath, 'an absolute path');
    requireField(options, 'headless', isBoolean, 'true or false');
    requireField(options, 'env', isMapOf(isString), "an object of strings, the browser's complete environment");
    requireField(options, 'timeout_ms', isTimeout, `a whole number of milliseconds from 1 to ${LONGEST_TIMEOUT_MS}`);
    optionalField(options, 'preferences', isMapOf(isPreference), 'an object of strings, whole numbers, true or false', {});
    optionalField(options, 'user_data', isAbsolutePath, 'an absolute path or null', null);
    optionalField(options, 'egress', isAbsolutePath, 'an absolute path or null', null);
    optionalField(options, 'block_webrtc', isBoolean, 'true or false', false);
    optionalField(options, 'window_is_viewport', isBoolean, 'true or false', false);
    const needsMachine = options.engine === 'camoufox';
    const machine = 'what makes a Camoufox the machine that it shows: {"env": {…}, "arguments": […], "window": {…}}';
    if (needsMachine) requireField(options, 'machine', isMachine, machine);
    else optionalField(options, 'machine', () => false, 'missing for this engine', null);
    optionalField(options, 'window', isWindow, 'null or {"width": n, "height": n} in pixels', null);
  },
  close(command) {
    optionalField(command, 'patience_ms', isTimeout, `null or a whole number of milliseconds from 1 to ${LONGEST_TIMEOUT_MS}`, null);
  },
  open(command) {
    requireField(command, 'url', isText, 'a non-empty string');
    requireField(command, 'wait', (value) => WAITS.includes(value), `one of ${WAITS.join(', ')}`);
    requireField(command, 'timeout_ms', isTimeout, `a whole number of milliseconds from 1 to ${LONGEST_TIMEOUT_MS}`);
  },
  discard_contexts() {},
  read_cookies: checkFile,
  write_cookies: checkFile,
  check(command) {
    requireField(command, 'timeout_ms', isTimeout, `a whole number of milliseconds from 1 to ${LONGEST_TIMEOUT_MS}`);
  },
  ping() {},
};

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isString = (value) => typeof value === 'string';
const isText = (value) => isString(value) && value.length > 0;
const isBoolean = (value) => typeof value === 'boolean';
const isAbsolutePath = (value) => isString(value) && value.startsWith('/');
const isPreference = (value) => isString(value) || isBoolean(value) || Number.isInteger(value);
const isTimeout = (value) => Number.isInteger(value) && value >= 1 && value <= LONGEST_TIMEOUT_MS;
const isPixels = (value) => Number.isInteger(value) && value >= 1 && value <= 32_767;
const isWindow = (value) => isObject(value) && isPixels(value.width) && isPixels(value.height);
const isPlace = (value) => isWindow(value) && [value.x, value.y].every((place) => Number.isInteger(place) && place >= 0);
const isMachine = (value) =>
  isObject(value) && isMapOf(isString)(value.env) && Array.isArray(value.arguments) && value.arguments.every(isString) && isPlace(value.window);
const isMapOf = (holds) => (value) => isObject(value) && Object.values(value).every(holds);

/** Throws unless the field exists and is valid. */
function requireField(object, field, isValid, expected) {
  if (!isValid(object[field])) throw new InvalidCommand(`${field} is ${show(object[field])}: it must be ${expected}`);
}

/** Like `requireField`, but a missing or null field gets a default. */
function optionalField(object, field, isValid, expected, fallback) {
  if (object[field] === undefined || object[field] === null) object[field] = fallback;
  else requireField(object, field, isValid, expected);
}

/** Formats an invalid value, shortened. */
function show(value) {
  const text = JSON.stringify(value) ?? 'missing';
  return truncate(text, 80);
}

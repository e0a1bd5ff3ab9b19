/** Reads and checks the commands that camofleet sends, so that nothing past here meets a wrong type. */
import { cut } from './text.mjs';

const ENGINES = ['firefox', 'camoufox'];
const WAITS = ['load', 'domcontentloaded'];
const LONGEST_TIMEOUT_MS = 3_600_000;

/** A command that is not understood; its message says what is wrong and what would be right. */
export class InvalidCommand extends Error {
  /**
   * The launch and the request that it was for, as far as it says: they have no other answer.
   *
   * @type {string|null}
   */
  id = null;
  /** @type {string|null} */
  request = null;
}

/**
 * Parses and checks one line from camofleet.
 *
 * @param {string} line one JSON object
 * @returns {object} the command, with every field that its type needs
 * @throws {InvalidCommand} when it is not a command of the protocol
 */
export function parseCommand(line) {
  let command;
  try {
    command = JSON.parse(line);
  } catch (error) {
    throw new InvalidCommand(`not JSON: ${error.message}`);
  }
  if (!isObject(command)) throw new InvalidCommand('a command is one JSON object a line');
  try {
    const check = CHECKS[command.type];
    if (!check) throw new InvalidCommand(`unknown type ${show(command.type)}: one of ${Object.keys(CHECKS).join(', ')}`);
    if (command.type !== 'ping') need(command, 'id', isText, 'a text that is not empty');
    check(command);
  } catch (error) {
    if (isText(command.id)) error.id = command.id;
    if (isText(command.request)) error.request = command.request;
    throw error;
  }
  return command;
}

const CHECKS = {
  launch(command) {
    need(command, 'options', isObject, 'an object');
    const options = command.options;
    need(options, 'engine', (value) => ENGINES.includes(value), `one of ${ENGINES.join(', ')}`);
    need(options, 'executable', isAbsolutePath, 'an absolute path');
    need(options, 'directory', isAbsolutePath, 'an absolute path');
    need(options, 'headless', isBoolean, 'true or false');
    need(options, 'env', isMapOf(isString), "an object of texts, the browser's whole environment");
    need(options, 'timeout_ms', isTimeout, `a whole number of milliseconds from 1 to ${LONGEST_TIMEOUT_MS}`);
    allow(options, 'version', isText, 'a text or null', null);
    allow(options, 'preferences', isMapOf(isPreference), 'an object of texts, whole numbers, true or false', {});
    allow(options, 'block_webrtc', isBoolean, 'true or false', false);
    allow(options, 'window', isWindow, 'null or {"width": n, "height": n} in pixels', null);
  },
  close() {},
  open(command) {
    need(command, 'request', isText, 'a text that is not empty');
    need(command, 'url', isText, 'a text that is not empty');
    need(command, 'wait', (value) => WAITS.includes(value), `one of ${WAITS.join(', ')}`);
    need(command, 'timeout_ms', isTimeout, `a whole number of milliseconds from 1 to ${LONGEST_TIMEOUT_MS}`);
  },
  discard_contexts(command) {
    need(command, 'request', isText, 'a text that is not empty');
  },
  check(command) {
    need(command, 'request', isText, 'a text that is not empty');
    need(command, 'timeout_ms', isTimeout, `a whole number of milliseconds from 1 to ${LONGEST_TIMEOUT_MS}`);
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
const isMapOf = (holds) => (value) => isObject(value) && Object.values(value).every(holds);

/** Throws unless the field is there and right. */
function need(object, field, isRight, expected) {
  if (!isRight(object[field])) throw new InvalidCommand(`${field} is ${show(object[field])}: it must be ${expected}`);
}

/** Like `need`, but an absent or null field takes a default. */
function allow(object, field, isRight, expected, fallback) {
  if (object[field] === undefined || object[field] === null) object[field] = fallback;
  else need(object, field, isRight, expected);
}

/** Shows a wrong value, shortened. */
function show(value) {
  const text = JSON.stringify(value) ?? 'missing';
  return cut(text, 80);
}

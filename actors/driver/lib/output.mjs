/**
 * The driver's two outputs: events for camofleet on stdout, lines for people on stderr.
 *
 * Importing this module takes stdout away from everybody else first, because one stray line
 * from a library would break the protocol.
 */
import { Console } from 'node:console';

const writeToStdout = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
globalThis.console = new Console({ stdout: process.stderr, stderr: process.stderr });

// Losing the log's reader is no reason to end, and there is nowhere left to report it.
process.stderr.on('error', () => {});

/**
 * Sends one event to camofleet as one JSON line, in which every text is well-formed: a page, a URL or a browser can
 * hold half a surrogate pair, which JSON's own parsers refuse.
 *
 * A write that fails (camofleet is gone) surfaces through `onOutputLost`, never as an exception.
 *
 * @param {{type: string, [field: string]: unknown}} event what happened
 * @returns {void}
 */
export function send(event) {
  writeToStdout(`${JSON.stringify(event, (_, value) => (typeof value === 'string' ? value.toWellFormed() : value))}\n`);
}

/**
 * Calls back once nobody reads the events any more.
 *
 * @param {() => void} callback what to do then
 * @returns {void}
 */
export function onOutputLost(callback) {
  process.stdout.on('error', callback);
}

/**
 * Writes one line for people to stderr.
 *
 * @param {string} text what happened, without a trailing line break
 * @returns {void}
 */
export function log(text) {
  process.stderr.write(`driver: ${text}\n`);
}

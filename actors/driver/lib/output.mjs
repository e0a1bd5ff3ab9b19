/**
 * The driver's two outputs: events for camofleet on stdout, log lines on stderr.
 *
 * Importing this module takes stdout away from all other code, because one stray line from a library would
 * break the protocol.
 */
import { Console } from 'node:console';

const writeToStdout = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
globalThis.console = new Console({ stdout: process.stderr, stderr: process.stderr });

// A closed log is no reason to exit, and there is nowhere left to report it.
process.stderr.on('error', () => {});

/**
 * Sends one event to camofleet as one JSON line with well-formed texts: pages, URLs and browsers can contain
 * lone surrogates, which strict JSON parsers refuse.
 *
 * A failed write (camofleet is gone) is reported by `onOutputLost`, never thrown.
 *
 * @param {{type: string, [field: string]: unknown}} event the event
 * @returns {void}
 */
export function send(event) {
  writeToStdout(`${JSON.stringify(event, (_, value) => (typeof value === 'string' ? value.toWellFormed() : value))}\n`);
}

/**
 * Registers a callback for when nobody reads the events any more.
 *
 * @param {() => void} callback what to do then
 * @returns {void}
 */
export function onOutputLost(callback) {
  process.stdout.on('error', callback);
}

/**
 * Writes one line to the log on stderr.
 *
 * @param {string} text the message, without a trailing line break
 * @returns {void}
 */
export function log(text) {
  process.stderr.write(`driver: ${text}\n`);
}

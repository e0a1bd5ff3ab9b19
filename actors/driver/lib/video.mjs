/**
 * Videos that clients record (`recordVideo`): encoded by the system's ffmpeg, and bounded.
 *
 * Playwright starts one encoder for each recorded page, which writes into the launch's directory until the page or its
 * context is closed.
 */
import fs from 'node:fs';
import path from 'node:path';
import { recordVideosWith } from './playwright.mjs';

/** How long a video may become, in seconds; what comes after that is not in it. */
const LONGEST_S = 3_600;
/** How large a video may become, in bytes. At the encoder's bit rate of 1 Mbit/s an hour is 450 MB. */
const LARGEST = 256 << 20;
/** How many videos of one browser may be recorded at once: an encoder takes 50 MB and a core's time. */
const MOST_AT_ONCE = 8;
/** How many bytes of pictures may wait for an encoder; at most a second of large ones. */
const MOST_WAITING = 64 << 20;

const ffmpeg = findFfmpeg();
if (ffmpeg) recordVideosWith(ffmpeg);

/**
 * Tells whether a child process is a video encoder.
 *
 * @param {string} command its executable
 * @returns {boolean} whether it is
 */
export function isEncoder(command) {
  return command === ffmpeg;
}

/**
 * Bounds an encoder that is about to start.
 *
 * @param {string[]} args its arguments, the file last
 * @param {number} running how many there are already for the same browser
 * @returns {string[]} the arguments to start it with
 * @throws {Error} when there are too many
 */
export function boundEncoder(args, running) {
  if (running >= MOST_AT_ONCE) throw new Error(`${running} videos are being recorded in this browser, which is the most at once: close a page that is recorded`);
  return [...args.slice(0, -1), '-t', String(LONGEST_S), '-fs', String(LARGEST), ...args.slice(-1)];
}

/**
 * Ends an encoder that does not keep up, so that the pictures for it do not pile up in the driver.
 *
 * @param {import('node:child_process').ChildProcess} child a running encoder
 * @param {() => void} end kills it
 */
export function watchEncoder({ stdin }, end) {
  const write = stdin.write;
  stdin.write = function (...args) {
    if (stdin.writableLength > MOST_WAITING) end();
    return write.apply(this, args);
  };
}

/** The first ffmpeg of the path; without one Playwright says what it lacks when a client wants a video. */
function findFfmpeg() {
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(path.isAbsolute);
  return folders.map((folder) => path.join(folder, 'ffmpeg')).find((file) => {
    try {
      fs.accessSync(file, fs.constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

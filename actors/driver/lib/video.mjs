/**
 * Videos that clients record (`recordVideo`): encoded by the system's ffmpeg, and limited.
 *
 * Playwright starts one encoder for each recorded page, which writes into the launch's directory until the
 * page or its context is closed.
 */
import fs from 'node:fs';
import path from 'node:path';
import { recordVideosWith } from './playwright.mjs';

/** The maximum duration of a video, in seconds; it does not contain what comes after. */
const LONGEST_S = 3_600;
/** The maximum size of a video, in bytes. At the encoder's bit rate of 1 Mbit/s an hour is 450 MB. */
const LARGEST = 256 << 20;
/** The maximum number of concurrent recordings of a browser: an encoder takes 50 MB and a CPU core. */
const MOST_AT_ONCE = 8;
/** How many bytes of frames may be buffered for an encoder: at most a second of large ones. */
const MOST_WAITING = 64 << 20;

const ffmpeg = findFfmpeg();
if (ffmpeg) recordVideosWith(ffmpeg);

/**
 * Whether a child process is a video encoder.
 *
 * @param {string} command its executable
 * @returns {boolean} whether it is
 */
export function isEncoder(command) {
  return command === ffmpeg;
}

/**
 * Limits an encoder that is about to start.
 *
 * @param {string[]} args its arguments, the file last
 * @param {number} running how many encoders already run for the same browser
 * @returns {string[]} the arguments to start it with
 * @throws {Error} when there are too many
 */
export function limitEncoder(args, running) {
  if (running >= MOST_AT_ONCE) throw new Error(`${running} videos are being recorded in this browser, which is the maximum: close a page that is recorded`);
  return [...args.slice(0, -1), '-t', String(LONGEST_S), '-fs', String(LARGEST), ...args.slice(-1)];
}

/**
 * Kills an encoder that is too slow, so that frames don't accumulate in the driver.
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

/** The first ffmpeg in PATH; without one Playwright reports what is missing when a client records a video. */
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

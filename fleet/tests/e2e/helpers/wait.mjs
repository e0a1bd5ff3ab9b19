/** Waits for conditions, always with a timeout. */
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 20;
/** By how much a sleep of an undisturbed process is late at most. */
const LATE_MS = 50;

/**
 * Sleeps, and returns by how much longer than it should have: while the whole machine stalls, what a test waits for has no time
 * either, which is then not counted.
 */
async function sleep(ms, signal) {
  const started = performance.now();
  await delay(ms, null, { signal });
  const late = performance.now() - started - ms;
  return late > LATE_MS ? late : 0;
}

/**
 * Waits until a condition holds.
 *
 * @template T
 * @param {() => T | Promise<T>} condition polled; a truthy value ends the wait
 * @param {string} what is waited for, for the error
 * @param {number} patience the timeout, in milliseconds
 * @returns {Promise<T>} the truthy value
 * @throws {Error} when it does not hold in time
 */
export async function until(condition, what, patience = 20_000) {
  let deadline = Date.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`after ${patience} ms still waiting for ${what}`);
    deadline += await sleep(POLL_MS);
  }
}

/**
 * Adds a timeout to a promise.
 *
 * @template T
 * @param {Promise<T>} promise what is waited for
 * @param {string} what it is, for the error
 * @param {number} patience the timeout, in milliseconds
 * @returns {Promise<T>} what the promise resolves with
 * @throws {Error} when it does not resolve in time
 */
export async function within(promise, what, patience = 20_000) {
  const timer = new AbortController();
  const late = async () => {
    let deadline = Date.now() + patience;
    while (Date.now() < deadline) deadline += await sleep(Math.min(5 * POLL_MS, patience), timer.signal);
    // What has arrived comes before the timeout.
    await new Promise((resolve) => setImmediate(resolve));
    throw new Error(`after ${patience} ms still waiting for ${what}`);
  };
  try {
    return await Promise.race([promise, late()]);
  } finally {
    timer.abort();
  }
}

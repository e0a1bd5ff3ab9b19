/** A real Chromium, for the pages that camofleet serves to people. */
import { chromium } from 'playwright-core';
import { PNG } from 'pngjs';
import { isColour } from './rfb.mjs';
import { until } from './wait.mjs';

const EXECUTABLE = process.env.TEST_CHROMIUM ?? '/usr/bin/chromium';
/** Without a sandbox it also runs as root; it visits only the tests' own pages. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts a headless Chromium. */
export function startChromium() {
  return chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
}

/**
 * Waits until the picture of an element has a colour in the middle of its left half, away from the pointer.
 *
 * @param {import('playwright-core').Locator} locator the element
 * @param {number[]} colour `[red, green, blue]`
 */
export async function showsColour(locator, colour) {
  let seen;
  await until(
    async () => {
      const { width, height, data } = PNG.sync.read(await locator.screenshot());
      const at = ((height >> 1) * width + (width >> 2)) * 4;
      seen = [...data.subarray(at, at + 3)];
      return isColour(seen, colour);
    },
    `rgb(${colour}) in the picture`,
  ).catch((error) => {
    throw new Error(`${error.message}; it shows rgb(${seen})`, { cause: error });
  });
}

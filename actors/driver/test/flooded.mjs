/**
 * A client of a Playwright server, whose address is the first argument: asks for more than it will read, and says so on its
 * standard output. To be stopped then, by a signal: one that reads would be sent all of it.
 */
import { setImmediate } from 'node:timers/promises';
import { firefox } from 'playwright-core';

const browser = await firefox.connect(process.argv[2]);
const page = await (await browser.newContext()).newPage();
// A connection may be compressed.
await page.evaluate(() => (globalThis.noise = Array.from({ length: 1 << 20 }, () => String.fromCharCode(33 + Math.random() * 90)).join('')));
// What it asks for is short, and is with the kernel when this turn is over.
for (let left = 250; left > 0; left -= 1) page.evaluate(() => globalThis.noise).catch(() => {});
await setImmediate();
console.log('flooded');

/**
 * A client of a Playwright server, whose address is the first argument: asks for more than it will read, and says so on its
 * standard output. To be stopped then, by a signal.
 */
import { firefox } from 'playwright-core';

const browser = await firefox.connect(process.argv[2]);
const page = await (await browser.newContext()).newPage();
// A connection may be compressed.
await page.evaluate(() => (globalThis.noise = Array.from({ length: 1 << 20 }, () => String.fromCharCode(33 + Math.random() * 90)).join('')));
// Once the first is answered, all are asked for.
await Promise.race(Array.from({ length: 250 }, () => page.evaluate(() => globalThis.noise)));
console.log('flooded');

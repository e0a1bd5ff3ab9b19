/**
 * A client of the Playwright server at the address in its first argument. It requests more than it will read,
 * and then prints a line. Stop it by SIGSTOP after that, because a reading client would get all of it.
 */
import { setImmediate } from 'node:timers/promises';
import { firefox } from 'playwright-core';

const browser = await firefox.connect(process.argv[2]);
const page = await (await browser.newContext()).newPage();
// The connection may be compressed.
await page.evaluate(() => (globalThis.noise = Array.from({ length: 1 << 20 }, () => String.fromCharCode(33 + Math.random() * 90)).join('')));
// The requests are short, so the kernel has them at the end of this turn.
for (let left = 250; left > 0; left -= 1) page.evaluate(() => globalThis.noise).catch(() => {});
await setImmediate();
console.log('flooded');

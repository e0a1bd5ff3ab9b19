/**
 * Every page of the panel fits a desktop's window, a small laptop's and a phone's, in both languages. With `SCREENSHOTS=1`
 * (`make screenshots`) the pictures in `docs/screenshots` are made anew.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PAGES } from './helpers/panelPages.mjs';
import { test } from './helpers/server.mjs';
import { Showcase } from './helpers/showcase.mjs';

const DIRECTORY = fileURLToPath(new URL('../../../docs/screenshots/', import.meta.url));
const SIZES = [
  { width: 1440, height: 900 },
  { width: 1024, height: 768 },
  { width: 390, height: 844 },
];
const SAVING = process.env.SCREENSHOTS === '1';
/** What is looked at; the pictures are in English. */
const LOOKS = [
  { theme: 'light', locale: 'en-US' },
  { theme: 'dark', locale: SAVING ? 'en-US' : 'ru-RU' },
];

let showcase;
before(async () => {
  showcase = await Showcase.start();
  if (!SAVING) return;
  await fs.rm(DIRECTORY, { recursive: true, force: true });
  await fs.mkdir(DIRECTORY, { recursive: true });
});
after(() => showcase?.stop());

/** How far the page is wider than its window, once what a new size moves has moved. */
const excess = (page) =>
  page.evaluate(async () => {
    for (let frame = 0; frame < 2; frame += 1) await new Promise((resolve) => requestAnimationFrame(resolve));
    return document.documentElement.scrollWidth - innerWidth;
  });

for (const { name, open, complaint } of PAGES) {
  for (const { theme, locale } of LOOKS) {
    test(`${name} fits every window, ${theme}, ${locale}`, async () => {
      const page = await showcase.newPage({ theme, locale });
      try {
        await open(page, showcase);
        for (const size of SIZES) {
          await page.setViewportSize(size);
          const { width } = size;
          assert.ok((await excess(page)) <= 0, `${await excess(page)} pixels too wide for ${width}`);
          if (SAVING) await page.screenshot({ path: `${DIRECTORY}${name}-${theme}-${width}.png` });
        }
        assert.deepEqual(page.complaints.filter((text) => !complaint?.test(text)), []);
      } finally {
        await page.context().close();
      }
    });
  }
}

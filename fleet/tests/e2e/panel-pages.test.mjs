/**
 * Every page of the panel fits the windows of a desktop, a small laptop and a phone, in both languages, and meets the rules of
 * WCAG 2.1 A and AA that can be checked automatically (axe), in both themes. With `SCREENSHOTS=all` (`make screenshots`) it also saves a
 * picture of each in `target/screenshots`; with `SCREENSHOTS=docs` (`make docs-screenshots`) those in `docs/screenshots`.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import axe from 'axe-core';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PAGES } from './helpers/panelPages.mjs';
import { test } from './helpers/server.mjs';
import { Showcase } from './helpers/showcase.mjs';

/** axe checks the layout of the last one. */
const SIZES = [
  { width: 390, height: 844 },
  { width: 1024, height: 768 },
  { width: 1440, height: 900 },
];
const WANTED = process.env.SCREENSHOTS;
const SAVING = Boolean(WANTED);
/** What the documents show, each as large as a desktop's window and light. */
const IN_DOCUMENTS = ['sessions', 'session', 'wall', 'fleet'];
const DIRECTORY = fileURLToPath(new URL(`../../../${WANTED === 'docs' ? 'docs' : 'target'}/screenshots/`, import.meta.url));
/** What a picture is called; null if it is not wanted. */
const pictureOf = (name, theme, width) => {
  if (WANTED !== 'docs') return `${name}-${theme}-${width}.png`;
  return IN_DOCUMENTS.includes(name) && theme === 'light' && width === SIZES.at(-1).width ? `${name}.png` : null;
};
/** What is looked at; the pictures are in English. */
const LOOKS = [
  { theme: 'light', locale: 'en-US' },
  { theme: 'dark', locale: SAVING ? 'en-US' : 'ru-RU' },
];
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
const GRAVE = ['serious', 'critical'];
/** Base UI's focus guards around an open menu: they pass the focus on, so it never stays on them. */
const FOCUS_GUARDS = '[data-base-ui-focus-guard]';

let showcase;
before(async () => {
  showcase = await Showcase.start();
  if (!SAVING) return;
  await fs.rm(DIRECTORY, { recursive: true, force: true });
  await fs.mkdir(DIRECTORY, { recursive: true });
});
after(() => showcase?.stop());

/** How much wider than its window the page is, once the layout has settled. */
const excess = (page) =>
  page.evaluate(async () => {
    for (let frame = 0; frame < 2; frame += 1) await new Promise((resolve) => requestAnimationFrame(resolve));
    return document.documentElement.scrollWidth - innerWidth;
  });

/** The serious and critical violations on a page, each with its elements. */
async function violations(page) {
  await page.evaluate(axe.source);
  const found = await page.evaluate(
    ([values, guards]) => globalThis.axe.run({ exclude: [guards] }, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] }),
    [RULES, FOCUS_GUARDS],
  );
  return found.violations
    .filter(({ impact }) => GRAVE.includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ''}`).join('\n  ')}`);
}

for (const { name, open, complaint } of PAGES) {
  for (const { theme, locale } of LOOKS) {
    test(`${name} fits every window and has no serious or critical violation, ${theme}, ${locale}`, async () => {
      const page = await showcase.newPage({ theme, locale });
      try {
        await open(page, showcase);
        for (const size of SIZES) {
          await page.setViewportSize(size);
          const { width } = size;
          assert.ok((await excess(page)) <= 0, `${await excess(page)} pixels too wide for ${width}`);
          const picture = SAVING && pictureOf(name, theme, width);
          if (picture) await page.screenshot({ path: `${DIRECTORY}${picture}` });
        }
        assert.deepEqual(await violations(page), []);
        assert.deepEqual(page.complaints.filter((text) => !complaint?.test(text)), []);
      } finally {
        await page.context().close();
      }
    });
  }
}

/** Every page of the panel, in both themes, by the rules that a machine can check: WCAG 2.1 A and AA, with axe. */
import assert from 'node:assert/strict';
import axe from 'axe-core';
import { after, before } from 'node:test';
import { PAGES } from './helpers/panelPages.mjs';
import { test } from './helpers/server.mjs';
import { Showcase } from './helpers/showcase.mjs';

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
const GRAVE = ['serious', 'critical'];
/** Base UI's traps for the focus around an open menu: who comes to one is led on, so that nobody is ever on it. */
const FOCUS_GUARDS = '[data-base-ui-focus-guard]';

let showcase;
before(async () => (showcase = await Showcase.start()));
after(() => showcase?.stop());

/** The grave violations of what a page shows, each with the elements that it is about. */
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

for (const { name, open } of PAGES) {
  for (const theme of ['light', 'dark']) {
    test(`${name} has no serious or critical violation in the ${theme} theme`, async () => {
      const page = await showcase.newPage({ theme });
      try {
        await open(page, showcase);
        assert.deepEqual(await violations(page), []);
      } finally {
        await page.context().close();
      }
    });
  }
}

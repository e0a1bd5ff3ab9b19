import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Linter } from 'eslint';

import { layerRules, LAYERS, TEST_KIT } from './layers.js';

const linter = new Linter({ configType: 'flat' });

/** The rules that a file in `src` breaks. */
function broken(filename, code) {
  const problems = linter.verify(code, layerRules(), { filename: `src/${filename}` });
  return problems.map(({ ruleId }) => ruleId);
}

/** Each way in which a file can import another, with the rule that has to notice it. */
const imports = (path) => [
  ['no-restricted-imports', `import { a } from '${path}';`],
  ['no-restricted-imports', `export { a } from '${path}';`],
  ['no-restricted-syntax', `const a = () => import('${path}');`],
];

for (const [index, level] of LAYERS.entries()) {
  for (const directory of level) {
    const below = LAYERS.slice(0, index).flat();
    const others = LAYERS.flat().filter((other) => other !== directory && !below.includes(other));

    test(`${directory} imports from the layers below it only`, () => {
      for (const file of ['a.ts', 'deeper/a.ts', 'a.spec.ts']) {
        const up = file.startsWith('deeper') ? '../..' : '..';
        for (const other of below) {
          for (const [, code] of imports(`${up}/${other}/b.ts`)) {
            assert.deepEqual(broken(`${directory}/${file}`, code), [], code);
          }
        }
        for (const other of others) {
          for (const [rule, code] of imports(`${up}/${other}/b.ts`)) {
            assert.deepEqual(broken(`${directory}/${file}`, code), [rule], code);
          }
        }
      }
    });

    test(`of ${directory} only specs import the test kit`, () => {
      for (const [rule, code] of imports(`../${TEST_KIT}/b.ts`)) {
        assert.deepEqual(broken(`${directory}/a.spec.ts`, code), [], code);
        assert.deepEqual(broken(`${directory}/a.ts`, code), [rule], code);
      }
    });
  }
}

test('a directory without a layer is refused', () => {
  assert.deepEqual(broken('other/a.ts', ''), ['no-restricted-syntax']);
});

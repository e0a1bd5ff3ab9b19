/**
 * The directories of `src`, from the bottom up. A file imports from its own directory and from those below it;
 * directories of one level don't import each other.
 */
export const LAYERS = [
  ['lib'], // stores, clocks, timers
  ['i18n'], // every text, in each language
  ['api', 'ui'], // the server; controls and formats that know no session and no worker
  ['live'], // the fleet's state, kept current by the event stream
  ['hooks'], // that state and the API, for components
  ['vnc'], // live views, in the panel and on the noVNC page
  ['sessions'],
  ['launch', 'workers', 'charts', 'wall'],
  ['profiles'],
  ['pages'],
  ['panel'], // what surrounds every page
];

/** The test kit renders whole pages, so only specs may import it. */
export const TEST_KIT = 'test';

/** Forbids these files to import from the directories, statically or dynamically. */
function forbid(files, ignores, directories, message) {
  const regex = `^(\\.\\./)+(${directories.join('|')})/`;
  const selector = `ImportExpression[source.value=/${regex.replaceAll('/', '\\/')}/]`;
  return {
    files,
    ignores,
    rules: {
      'no-restricted-imports': ['error', { patterns: [{ regex, message }] }],
      'no-restricted-syntax': ['error', { selector, message }],
    },
  };
}

/** ESLint's configuration that holds {@link LAYERS}. */
export function layerRules() {
  const rules = LAYERS.flatMap((level, index) =>
    level.flatMap((directory) => {
      const siblings = level.filter((other) => other !== directory);
      const forbidden = [...siblings, ...LAYERS.slice(index + 1).flat()];
      const message = `${directory}/ may import only from the layers below it (build/layers.js).`;
      const specs = `src/${directory}/**/*.spec.{ts,tsx}`;
      return [
        forbid([`src/${directory}/**/*.{ts,tsx}`], [specs], [...forbidden, TEST_KIT], message),
        forbid([specs], [], forbidden, message),
      ];
    }),
  );
  const message = 'This directory has no layer yet: add it to build/layers.js.';
  const unknown = {
    files: ['src/*/**/*.{ts,tsx}'],
    ignores: [...LAYERS.flat(), TEST_KIT].map((directory) => `src/${directory}/**`),
    rules: { 'no-restricted-syntax': ['error', { selector: 'Program', message }] },
  };
  return [...rules, unknown];
}

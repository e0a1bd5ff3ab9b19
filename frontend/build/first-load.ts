import { gzipSync } from 'node:zlib';
import type { Plugin, Rolldown } from 'vite';

/** The limit of the first load, in compressed bytes. */
const MOST_BYTES = 250_000;
/** Chunks that must load on demand, because most visits never need them. */
const ON_DEMAND = ['@novnc/novnc', 'uplot'];

/**
 * The files that a page loads before it can show anything: its script, all static imports, and their styles.
 */
function firstLoad(bundle: Rolldown.OutputBundle): Rolldown.OutputBundle[string][] {
  const names = new Set(
    Object.values(bundle).flatMap((file) =>
      file.type === 'chunk' && file.isEntry ? [file.fileName] : [],
    ),
  );
  // A Set's iteration includes elements added during it.
  for (const name of names) {
    const file = bundle[name];
    if (file?.type !== 'chunk') continue;
    for (const needed of [...file.imports, ...(file.viteMetadata?.importedCss ?? [])]) {
      names.add(needed);
    }
  }
  return [...names].flatMap((name) => bundle[name] ?? []);
}

/** Fails the build when the first load exceeds its limit or includes a chunk that should load on demand. */
export function limitFirstLoad(): Plugin {
  return {
    name: 'limit-first-load',
    apply: 'build',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const files = firstLoad(bundle);
      const modules = files.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
      for (const name of ON_DEMAND) {
        if (modules.some((id) => id.includes(`/node_modules/${name}/`))) {
          this.error(`${name} is loaded with the first page: import it where it is used, lazily`);
        }
      }
      const bytes = files
        .map((file) => gzipSync(file.type === 'chunk' ? file.code : file.source).length)
        .reduce((sum, size) => sum + size, 0);
      if (bytes > MOST_BYTES) {
        this.error(`the first page loads ${bytes} bytes compressed, more than ${MOST_BYTES}`);
      }
      this.info(`the first page loads ${bytes} bytes compressed, of ${MOST_BYTES} at most`);
    },
  };
}

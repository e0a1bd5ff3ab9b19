import { gzipSync } from 'node:zlib';
import type { Plugin, Rolldown } from 'vite';

/** What the first visit may load, in bytes as they are sent: compressed. */
const MOST_BYTES = 250_000;
/** What most visits never need, and so has to wait until it is. */
const ON_DEMAND = ['@novnc/novnc', 'uplot'];

/** The files that a page loads before it can show anything: its script, all that this imports, and their styles. */
function firstLoad(bundle: Rolldown.OutputBundle): Rolldown.OutputBundle[string][] {
  const names = new Set(
    Object.values(bundle).flatMap((file) =>
      file.type === 'chunk' && file.isEntry ? [file.fileName] : [],
    ),
  );
  // A set's own additions are gone through as well.
  for (const name of names) {
    const file = bundle[name];
    if (file?.type !== 'chunk') continue;
    for (const needed of [...file.imports, ...(file.viteMetadata?.importedCss ?? [])]) {
      names.add(needed);
    }
  }
  return [...names].flatMap((name) => bundle[name] ?? []);
}

/** Fails the build when the panel's first load outgrows its limit, or takes in what is to be loaded on demand. */
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

import type { Plugin } from 'vite';

/** A script's text can't hold the tag that ends it; `\/` means the same to JavaScript. */
function scriptSafe(code: string): string {
  return code.replaceAll('</script', '<\\/script');
}

function escapeForPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/**
 * Puts every script and stylesheet a page refers to into the page itself and drops the files, so
 * that the page works wherever it is served from, whatever path an ingress cut off on the way.
 * The build fails when something is left over: half a page would only be noticed in production.
 */
export function inlineAssets(): Plugin {
  return {
    name: 'inline-assets',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const pages = Object.values(bundle).filter((file) => file.fileName.endsWith('.html'));
      const rest = Object.values(bundle).filter((file) => !file.fileName.endsWith('.html'));
      for (const page of pages) {
        if (page.type !== 'asset') continue;
        let html = page.source.toString();
        for (const file of rest) {
          const name = escapeForPattern(file.fileName);
          // A function as the replacement, because `$&` and the like occur in minified code.
          if (file.type === 'chunk') {
            html = html.replace(
              new RegExp(`<script[^>]*src="[^"]*${name}"[^>]*></script>`),
              () => `<script type="module">${scriptSafe(file.code)}</script>`,
            );
          } else {
            html = html.replace(
              new RegExp(`<link[^>]*href="[^"]*${name}"[^>]*>`),
              () => `<style>${file.source.toString()}</style>`,
            );
          }
        }
        const leftover = /(?:src|href)="(?!data:)[^"]*"/.exec(
          html.replace(/<script[^]*<\/script>/, ''),
        );
        if (leftover) this.error(`${page.fileName} still refers to ${leftover[0]}`);
        page.source = html;
      }
      for (const file of rest) {
        Reflect.deleteProperty(bundle, file.fileName);
      }
    },
  };
}

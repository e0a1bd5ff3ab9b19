import type { Plugin } from 'vite';

/** A script element can't contain its own end tag; `\/` means the same to JavaScript. */
function scriptSafe(code: string): string {
  return code.replaceAll('</script', '<\\/script');
}

function escapeForPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/**
 * Inlines all scripts and stylesheets of a page, so that it works at any path. The build fails if a reference
 * remains, because an incomplete page would only be noticed in production.
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
          // A function as the replacement, because minified code contains `$&` and the like.
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

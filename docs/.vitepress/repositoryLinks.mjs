import fs from 'node:fs';
import path from 'node:path';

/**
 * Makes the relative links that work on GitHub work on the site. One to a page stays one, README.md for the start page of
 * its directory and ARCHITECTURE.md for the page that shows it included. One to anything else of the repository leads
 * there, if it is known where the repository is published; else only its text is shown. A link to a file that does not
 * exist fails the build.
 *
 * @param {import('markdown-it').default} md
 * @param {string} docs the directory of the pages
 * @param {string} [repository] such as https://github.com/owner/camofleet
 */
export function repositoryLinks(md, docs, repository) {
  const root = path.dirname(path.resolve(docs));

  md.core.ruler.push('repository-links', ({ tokens, env }) => {
    const page = env.realPath ?? env.path;
    const opened = [];
    for (const { children } of tokens) {
      for (const token of children ?? []) {
        if (token.type === 'link_open') {
          opened.push(token);
          redirect(token, page);
        } else if (token.type === 'link_close') {
          token.tag = opened.pop().tag;
        }
      }
    }
  });

  function redirect(token, page) {
    const href = decodeURI(token.attrGet('href'));
    if (href.startsWith('#') || /^[a-z]+:/i.test(href)) return;
    const [file, anchor] = href.split('#', 2);
    // What a page includes comes from the root of the repository.
    let target = [path.dirname(page), root].map((from) => path.resolve(from, file)).find((found) => fs.existsSync(found));
    if (!target) throw new Error(`${page} links to ${href}, which does not exist`);
    if (target === path.join(root, 'ARCHITECTURE.md')) target = path.join(docs, 'architecture.md');
    if (target.startsWith(path.resolve(docs) + path.sep) && target.endsWith('.md')) {
      const relative = path.relative(path.dirname(page), target).replace(/(^|\/)README\.md$/, '$1index.md');
      token.attrSet(
        'href',
        encodeURI(relative.startsWith('.') ? relative : `./${relative}`) + (anchor ? `#${encodeURI(anchor)}` : ''),
      );
    } else if (repository) {
      const kind = fs.statSync(target).isDirectory() ? 'tree' : 'blob';
      token.attrSet('href', `${repository}/${kind}/main/${path.relative(root, target)}${anchor ? `#${anchor}` : ''}`);
    } else {
      token.tag = 'span';
      token.attrs = [];
    }
  }
}

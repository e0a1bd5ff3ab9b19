/**
 * Checks every link that stays in the repository: of all its Markdown files, as GitHub shows them, and of the pages of the
 * site in the directory that is named, each with its anchor.
 *
 *   node check-links.mjs [SITE]
 */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import GithubSlugger from 'github-slugger';
import MarkdownIt from 'markdown-it';

const parser = new MarkdownIt({ html: true, linkify: true });
const isElsewhere = (link) => /^([a-z][a-z0-9+.-]*:|\/\/)/i.test(link);
const split = (link) => {
  const [file, anchor] = link.split('#', 2);
  return [decodeURI(file), anchor && decodeURIComponent(anchor)];
};
const attributes = (html, names) =>
  [...html.matchAll(new RegExp(String.raw`\s(?:${names})="([^"]*)"`, 'g'))].map(([, value]) =>
    value.replaceAll('&amp;', '&'),
  );

/** The links of a Markdown text and what can be linked to in it. */
export function markdownLinks(text) {
  const links = [];
  const anchors = new Set();
  const slugger = new GithubSlugger();
  const tokens = parser.parse(text, {});
  for (const [index, { type, content, children }] of tokens.entries()) {
    if (type === 'heading_open') {
      const plain = tokens[index + 1].children.filter((part) => part.type === 'text' || part.type === 'code_inline');
      anchors.add(slugger.slug(plain.map((part) => part.content).join('')));
    }
    for (const token of [...(children ?? []), ...(type === 'html_block' ? [{ type, content }] : [])]) {
      if (token.type === 'link_open') links.push(token.attrGet('href'));
      if (token.type === 'image') links.push(token.attrGet('src'));
      if (token.type.startsWith('html')) {
        links.push(...attributes(token.content, 'href|src|srcset'));
        for (const id of attributes(token.content, 'id|name')) anchors.add(id);
      }
    }
  }
  return { links, anchors };
}

/** The links of a page of the site and what can be linked to in it. */
export const htmlLinks = (html) => ({ links: attributes(html, 'href|src'), anchors: new Set(attributes(html, 'id')) });

/**
 * What is wrong with the links of files.
 *
 * @param {string[]} files their paths
 * @param {(text: string) => {links: string[], anchors: Set<string>}} read
 * @param {string} [root] what a link that begins with a slash starts from
 * @returns {string[]} a line for each
 */
export function brokenLinks(files, read, root) {
  const known = new Map(files.map((file) => [path.resolve(file), read(fs.readFileSync(file, 'utf8'))]));
  const broken = [];
  for (const [from, { links }] of known) {
    for (const link of links) {
      if (isElsewhere(link)) continue;
      const [file, anchor] = split(link);
      let target =
        file === ''
          ? from
          : path.resolve(
              root && file.startsWith('/') ? `${root}/.` : path.dirname(from),
              root ? file.replace(/^\//, '') : file,
            );
      if (root && fs.existsSync(target) && fs.statSync(target).isDirectory()) target = path.join(target, 'index.html');
      if (!fs.existsSync(target)) broken.push(`${from}: ${link} does not exist`);
      else if (anchor && known.has(target) && !known.get(target).anchors.has(anchor))
        broken.push(`${from}: ${link} names no heading there`);
    }
  }
  return broken;
}

function main(site) {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
    cwd: root,
    encoding: 'utf8',
  });
  const markdown = tracked
    .split('\n')
    .filter(Boolean)
    .map((name) => path.join(root, name))
    .filter((file) => fs.existsSync(file));
  const broken = brokenLinks(markdown, markdownLinks);
  if (site) {
    const pages = fs
      .readdirSync(site, { recursive: true })
      .filter((name) => name.endsWith('.html'))
      .map((name) => path.join(site, name));
    broken.push(...brokenLinks(pages, htmlLinks, path.resolve(site)));
    console.log(`links of ${markdown.length} files and ${pages.length} pages are checked`);
  }
  for (const line of broken) console.error(line);
  process.exitCode = broken.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv[2]);

import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import MarkdownIt from 'markdown-it';
import { repositoryLinks } from '../.vitepress/repositoryLinks.mjs';
import { brokenLinks, htmlLinks, markdownLinks } from '../check-links.mjs';

let root;
beforeEach(() => (root = fs.mkdtempSync(path.join(os.tmpdir(), 'links-'))));
afterEach(() => fs.rmSync(root, { recursive: true }));

function write(files) {
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), text);
  }
  return Object.keys(files).map((name) => path.join(root, name));
}

/** What is broken, without where the files are. */
const named = (lines) => lines.map((line) => line.replaceAll(`${root}/`, ''));

test('links of Markdown files lead to files, directories and headings that exist', () => {
  const files = write({
    'a.md':
      '# One `two`\n\n[b](sub/b.md#живой-просмотр) [own](#one-two) [directory](sub) [web](https://example.com/x#y) <img src="sub/c.png">\n',
    'sub/b.md': '## Живой просмотр\n\n## Again\n\n## Again\n\n[first](#again) [second](#again-1) [a](../a.md)\n',
    'sub/c.png': '',
  });
  assert.deepEqual(brokenLinks(files.slice(0, 2), markdownLinks), []);
});

test('a link to no file, to no heading and to no picture is noticed in Markdown', () => {
  const files = write({
    'a.md':
      '# A\n\n[b](b.md) [own](#b) [c](c.md#d)\n\n![x](x.png)\n\n<p><a href="y.md">y</a></p>\n\n```md\n[code](z.md)\n```\n',
    'c.md': '# C\n',
  });
  assert.deepEqual(named(brokenLinks(files, markdownLinks)), [
    'a.md: b.md does not exist',
    'a.md: #b names no heading there',
    'a.md: c.md#d names no heading there',
    'a.md: x.png does not exist',
    'a.md: y.md does not exist',
  ]);
});

test('a link to no page, to no anchor and to no file is noticed on the site', () => {
  const files = write({
    'index.html':
      '<h1 id="top"></h1><a href="/sub/">ok</a><a href="/sub/page.html#да">ok</a><a href="#top">ok</a><a href="/none.html">x</a><script src="/x.js"></script>',
    'sub/index.html': '<a href="./page.html#нет">x</a>',
    'sub/page.html': '<h2 id="да"></h2><a href="/other/">x</a>',
  });
  assert.deepEqual(named(brokenLinks(files, htmlLinks, root)), [
    'index.html: /none.html does not exist',
    'index.html: /x.js does not exist',
    'sub/index.html: ./page.html#нет names no heading there',
    'sub/page.html: /other/ does not exist',
  ]);
});

function rendered(text, page, repository) {
  const md = new MarkdownIt();
  repositoryLinks(md, path.join(root, 'docs'), repository);
  return md.renderInline(text, { path: path.join(root, page) });
}

test('links that work on GitHub work on the site', () => {
  write({
    'docs/a.md': '',
    'docs/ru/README.md': '',
    'docs/architecture.md': '',
    'ARCHITECTURE.md': '',
    'deploy/x.yaml': '',
  });
  assert.equal(rendered('[r](README.md)', 'docs/ru/a.md'), '<a href="./index.md">r</a>');
  assert.equal(rendered('[a](../a.md#x-y)', 'docs/ru/README.md'), '<a href="../a.md#x-y">a</a>');
  assert.equal(rendered('[arch](../../ARCHITECTURE.md)', 'docs/ru/README.md'), '<a href="../architecture.md">arch</a>');
  assert.equal(
    rendered('[included](deploy)', 'docs/architecture.md', 'https://git.example/us'),
    '<a href="https://git.example/us/tree/main/deploy">included</a>',
  );
  assert.equal(
    rendered('[file](../deploy/x.yaml)', 'docs/a.md', 'https://git.example/us'),
    '<a href="https://git.example/us/blob/main/deploy/x.yaml">file</a>',
  );
  assert.equal(rendered('[file](../deploy/x.yaml)', 'docs/a.md'), '<span>file</span>');
  assert.equal(rendered('[web](https://example.com)', 'docs/a.md'), '<a href="https://example.com">web</a>');
  assert.throws(() => rendered('[none](../deploy/y.yaml)', 'docs/a.md'), /y\.yaml, which does not exist/);
});

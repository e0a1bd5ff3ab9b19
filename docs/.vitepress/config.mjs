import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { slug } from 'github-slugger';
import { defineConfig } from 'vitepress';
import { repositoryLinks } from './repositoryLinks.mjs';

const DOCS = fileURLToPath(new URL('..', import.meta.url));
const ADRS = fs
  .readdirSync(path.join(DOCS, 'adr'))
  .filter((name) => /^\d/.test(name))
  .sort();

/** The first heading of a page, which is its name everywhere. */
const titleOf = (page) =>
  fs
    .readFileSync(path.join(DOCS, page), 'utf8')
    .match(/^# (.+)$/m)[1]
    .replaceAll('`', '');

const pages = (directory, names) =>
  names.map((name) => ({ text: titleOf(`${directory}${name}.md`), link: `/${directory}${name}` }));

/** The pages in the order in which one reads them; the same in both languages. */
const sidebar = (directory, [first, use, run, more]) => [
  { text: first, items: pages(directory, ['getting-started', 'sessions', 'playwright', 'live-views', 'egress', 'identity', 'profiles']) },
  { text: use, items: pages(directory, ['configuration', 'api', 'errors', 'metrics']) },
  { text: run, items: pages(directory, ['roles', 'deployment', 'docker', 'kubernetes', 'scaling', 'security']) },
  { text: more, items: pages(directory, ['migration', 'troubleshooting']) },
];

/** What only contributors and programs read is in English, in both menus. */
const english = (reference, inside, decisions) => [
  {
    text: inside,
    items: [
      { text: reference, link: '/api-reference' },
      { text: 'Architecture', link: '/architecture' },
      {
        text: decisions,
        link: '/adr/',
        collapsed: true,
        items: pages(
          'adr/',
          ADRS.map((name) => name.replace('.md', '')),
        ),
      },
    ],
  },
];

export default defineConfig({
  title: 'camofleet',
  description: 'A fleet of anti-detect browsers on your own machines',
  base: process.env.DOCS_BASE || '/',
  outDir: '../target/docs',
  cacheDir: '../target/docs-cache',
  cleanUrls: false,
  lastUpdated: false,
  ignoreDeadLinks: 'localhostLinks',
  // On GitHub a directory shows its README.
  rewrites: { 'README.md': 'index.md', 'ru/README.md': 'ru/index.md', 'adr/README.md': 'adr/index.md' },
  markdown: {
    // GitHub's anchors, so that a link into a page works on both.
    anchor: { slugify: slug },
    config: (md) => repositoryLinks(md, DOCS, process.env.DOCS_REPOSITORY),
  },
  themeConfig: {
    // Some pages are in English alone: a change of the language leads to its start page, which there always is.
    i18nRouting: false,
    outline: [2, 3],
    search: {
      provider: 'local',
      options: {
        locales: {
          ru: {
            translations: {
              button: { buttonText: 'Поиск', buttonAriaLabel: 'Поиск' },
              modal: {
                displayDetails: 'Подробный список',
                resetButtonTitle: 'Сбросить',
                backButtonTitle: 'Закрыть',
                noResultsText: 'Ничего не нашлось по запросу',
                footer: { selectText: 'выбрать', navigateText: 'перейти', closeText: 'закрыть' },
              },
            },
          },
        },
      },
    },
  },
  locales: {
    root: {
      label: 'English',
      lang: 'en',
      themeConfig: {
        sidebar: [
          ...sidebar('', ['First steps', 'Reference', 'Running a fleet', 'More']),
          ...english('API reference', 'Inside', 'Decisions'),
        ],
      },
    },
    ru: {
      label: 'Русский',
      lang: 'ru',
      description: 'Парк антидетект-браузеров на ваших собственных машинах',
      themeConfig: {
        sidebar: [
          ...sidebar('ru/', ['Первые шаги', 'Справочник', 'Работа парка', 'Прочее']),
          ...english('API reference', 'Устройство (на английском)', 'Decisions'),
        ],
        outline: { level: [2, 3], label: 'На этой странице' },
        docFooter: { prev: 'Предыдущая страница', next: 'Следующая страница' },
        darkModeSwitchLabel: 'Оформление',
        lightModeSwitchTitle: 'Светлая тема',
        darkModeSwitchTitle: 'Тёмная тема',
        sidebarMenuLabel: 'Страницы',
        returnToTopLabel: 'Наверх',
        langMenuLabel: 'Язык',
      },
    },
  },
});

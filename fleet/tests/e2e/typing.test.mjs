/** What viewers type arrives correctly: any text in any script, shortcuts, and no key stays down. */
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { attach } from './helpers/playwright.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until, within } from './helpers/wait.mjs';

const GREEN = [20, 160, 70];
const EDITOR = colouredPage(
  GREEN,
  `<textarea autofocus style="position:fixed;right:0;bottom:0;width:50%;height:50%"></textarea><script>
    window.strokes = [];
    window.buttons = 0;
    for (const kind of ['keydown', 'keyup']) {
      document.addEventListener(kind, ({ key, code, ctrlKey, repeat }) => strokes.push({ kind, key, code, ctrlKey, repeat }));
    }
    for (const kind of ['mousedown', 'mouseup']) document.addEventListener(kind, (event) => (buttons = event.buttons));
  </script>`,
);
/** The limits of a session's clipboard in bytes: for input, for output, and for output by x11vnc. */
const CLIPBOARD_LIMIT = 1 << 20;
const CUT_BUFFER_LIMIT = 128 << 10;
const SENTENCE = 'съешь же ещё этих мягких французских булок, да выпей чаю';
/** The older keysyms of the same letters, which most programs send. */
const OLD_CYRILLIC = Object.fromEntries(
  [...'юабцдефгхийклмнопярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ'].map((letter, at) => [letter, 0x6c0 + at]),
);
const [CONTROL, SHIFT, BACKSPACE, TAB, CAPS_LOCK, END] = [0xffe3, 0xffe1, 0xff08, 0xff09, 0xffe5, 0xff57];
/** 500 different characters of many scripts. */
const CHARACTERS = [
  ...range(0xc0, 24),
  ...range(0x391, 17),
  ...range(0x3b1, 25),
  ...range(0x410, 64),
  ...range(0x5d0, 27),
  ...range(0x627, 20),
  ...range(0x10d0, 33),
  ...range(0x561, 38),
  ...range(0xe01, 40),
  ...range(0x3041, 60),
  ...range(0xac00, 50),
  ...range(0x4e00, 72),
  ...range(0x1f600, 30),
];

function range(first, count) {
  return Array.from({ length: count }, (_, at) => String.fromCodePoint(first + at));
}

let site;
before(async () => (site = await Site.open({ '/editor': EDITOR })));
after(() => site?.close());

/** Tests for every display server. */
function typesEverything(settings, programs, extended) {
  let server, session, browser, page, viewer;
  const value = () => page.evaluate(() => document.querySelector('textarea').value);
  const connect = async () => {
    const viewer = await Viewer.connect(server.wsUrl + session.vnc.ws, {}, settings.VNC_PASSWORD);
    viewer.click(900, 700);
    return viewer;
  };
  /** Clears the text and the recorded keys. */
  const clear = () =>
    page.evaluate(() => {
      document.querySelector('textarea').value = '';
      globalThis.strokes.length = 0;
    });
  const shows = async (text) => {
    let seen;
    await until(async () => (seen = await value()) === text, 'the text', 20_000).catch(() => assert.equal(seen, text));
  };

  before(async () => {
    server = await Server.start({ RUNNER_VNC_RESOLUTION: '1024x768x24', VNC_RES: '1024x768x24', ...settings });
    session = await server.create({ vnc: true, start_url: `${site.url}/editor` });
    viewer = await connect();
    await viewer.shows(GREEN);
    browser = await attach(server, session);
    [page] = browser.contexts().flatMap((context) => context.pages());
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
  });

  test(`${programs}: a sentence in Russian arrives completely, from the first letter in a fresh session on`, async () => {
    assert.equal(new Set(CHARACTERS).size, 500);
    viewer.keys(...[...SENTENCE].map((letter) => OLD_CYRILLIC[letter] ?? letter));
    await shows(SENTENCE);
    await clear();
    viewer.keys(...SENTENCE);
    await shows(SENTENCE);
    await clear();
  });

  test(`${programs}: 500 different characters of many scripts arrive, typed as fast as the connection allows`, async () => {
    viewer.keys(...CHARACTERS);
    await shows(CHARACTERS.join(''));
    await clear();
    // And again the first ones, whose keys have other meanings by now.
    viewer.keys(...CHARACTERS.slice(0, 100));
    await shows(CHARACTERS.slice(0, 100).join(''));
    await clear();
  });

  test(`${programs}: capitals, signs and digits arrive whatever Shift state the viewer's own layout needs`, async () => {
    viewer.keys(...'Aa7&/?Ж');
    viewer.keys([SHIFT, true], ...'Ab/7', 'ж', [SHIFT, false], ...'c/');
    await shows('Aa7&/?ЖAb/7жc/');
    await clear();
    viewer.keys(CAPS_LOCK, ...'Aa1', CAPS_LOCK, 0xffb1);
    await shows('Aa11');
    await clear();
    // While a key is held, a viewer sends its press repeatedly.
    viewer.keys(['x', true], ['x', true], ['x', true], ['x', false], BACKSPACE);
    await shows('xx');
    await clear();
    // The X server repeats nothing by itself, for longer than its repeat delay.
    viewer.keys(['y', true]);
    await delay(900);
    viewer.keys(['y', false], 'z');
    await shows('yz');
    await clear();
  });

  test(`${programs}: shortcuts on a Cyrillic, Greek or Hebrew layout do what the key caps say`, async () => {
    const shortcut = (...letters) => viewer.keys([CONTROL, true], ...letters, [CONTROL, false]);
    viewer.keys(...'abc');
    shortcut(OLD_CYRILLIC.ф, OLD_CYRILLIC.с);
    viewer.keys(END);
    shortcut('м', 'ω', 'ה');
    await shows('abcabcabcabc');
    const codes = await page.evaluate(() => globalThis.strokes.filter(({ ctrlKey, kind }) => ctrlKey && kind === 'keydown').map(({ key, code }) => key + code));
    assert.deepEqual(codes.filter((code) => !code.startsWith('Control')), ['aKeyA', 'cKeyC', 'vKeyV', 'vKeyV', 'vKeyV']);
    await clear();
  });

  test(`${programs}: a clipboard text of a mebibyte arrives completely`, async () => {
    const paste = async (character, length) => {
      viewer.click(900, 700);
      await clear();
      await until(async () => {
        viewer.keys([CONTROL, true], 'a', 'v', [CONTROL, false]);
        await delay(200);
        return (await value()).startsWith(character);
      }, 'the text to be pasted');
      // Pastes that are still on their way come before this key.
      viewer.keys(END, '!');
      await until(async () => (await value()).endsWith('!'), 'all earlier keys to be handled');
      const text = (await value()).slice(0, -1);
      assert.deepEqual([text.length, new Set(text).size], [length, 1]);
      await clear();
    };
    viewer.clipboard('x'.repeat(CLIPBOARD_LIMIT));
    await paste('x', CLIPBOARD_LIMIT);
    if (!extended) return;
    viewer.say([2, 0, 0, 2, 0, 0, 0, 0, 0xc0, 0xa1, 0xe5, 0xce]);
    viewer.extendedClipboard('ж'.repeat(CLIPBOARD_LIMIT / 2));
    await paste('ж', CLIPBOARD_LIMIT / 2);
  });

  test(`${programs}: text copied in the page reaches a view-only viewer, and too long text is logged`, async () => {
    const watcher = await Viewer.connect(server.wsUrl + session.vnc.ws, {}, settings.VNC_PASSWORD);
    await watcher.pixels(0, 0, 8, 8);
    if (extended) watcher.extendClipboard();
    const copy = async (text) => {
      await page.evaluate((text) => Object.assign(document.querySelector('textarea'), { value: text }).select(), text);
      await page.keyboard.press('Control+c');
    };
    const arrives = async (text, expected = text) => {
      await copy(text);
      let seen;
      await within(
        (async () => {
          do seen = await watcher.copied();
          while (seen !== expected);
        })(),
        'the text',
      ).catch((error) => assert.fail(`${error.message}; last came ${seen?.length} characters: ${seen?.slice(0, 20)}`));
    };
    await arrives('first line\nséconde');
    // Without the extended clipboard VNC supports only Latin-1.
    await arrives('съешь ж', extended ? undefined : '????? ?');
    const limit = extended ? CLIPBOARD_LIMIT : CUT_BUFFER_LIMIT;
    await arrives('y'.repeat(limit));
    await copy('z'.repeat(limit + 1));
    const said = `a text of ${limit + 1} bytes that was copied in a session is not sent to its viewers: the limit is ${limit} bytes`;
    await until(() => server.logLines().some((line) => line.includes(said)), 'the log to say it');
    await arrives('and the next');
    await watcher.close();
    await clear();
  });

  test(`${programs}: a viewer that holds more keys than a keyboard has blocks nobody`, async () => {
    const greedy = await connect();
    const says = (text) => server.logLines().filter((line) => line.includes(text)).length;
    const [none, full] = ['leaves no spare keys for others; they are released', 'a viewer holds 256 keys down; further ones are ignored until it releases some'];
    const before = [none, full].map(says);
    // Every key with a meaning, every free one, and many that no keyboard has.
    greedy.keys(...[...range(0x21, 94), ...CHARACTERS.slice(0, 200)].map((character) => [character, true]));
    for (let scancode = 1; scancode <= 300; scancode += 1) greedy.say([255, 0, 0, 1, 0, 0, 0, 0x61, 0, 0, scancode >> 8, scancode & 0xff]);
    await until(() => says(full) > before[1], 'the log to say it');
    const ends = (text) => until(async () => (await value()).endsWith(text), text);
    viewer.click(900, 700);
    viewer.keys(...SENTENCE, ...'hello');
    await ends(`${SENTENCE}hello`);
    await greedy.drop();
    viewer.keys(...'bye', ...SENTENCE);
    await ends(`bye${SENTENCE}`);
    assert.deepEqual([none, full].map(says), before.map((count) => count + 1), 'each is said once');
    await clear();
  });

  test(`${programs}: held keys are released when their viewer disconnects, and others are not affected`, async () => {
    const other = await connect();
    other.keys([CONTROL, true], ['ф', true], [SHIFT, true]);
    other.pointer(600, 500, 1);
    await until(async () => (await page.evaluate(() => globalThis.buttons)) === 1, 'the button to be down');
    await other.drop();
    await until(async () => (await page.evaluate(() => globalThis.buttons)) === 0, 'the button to be up');
    await until(async () => (await page.evaluate(() => globalThis.strokes.filter(({ kind }) => kind === 'keyup').length)) >= 3, 'the keys to be up');
    await clear();
    viewer.click(900, 700);
    // With Ctrl still down this would end the browser.
    viewer.keys('q', TAB);
    await shows('q');
    assert.equal((await server.session(session)).restarts, 0);
  });
}

describe('with Xvnc', () => typesEverything({ RUNNER_VNC_BACKEND: 'xvnc' }, 'Xvnc', true));
describe('with Xvfb and x11vnc', () => typesEverything({ RUNNER_VNC_BACKEND: 'x11vnc' }, 'Xvfb and x11vnc', false));

/** A session's client has access to its browser and to nothing else of the machine. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { firefox } from 'playwright-core';
import { refusalOf } from '../lib/clientCommands.mjs';
import { withDriver } from './harness.mjs';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'client-'));
test.after(() => fs.rmSync(directory, { recursive: true }));

/** A client with a page, whose channels can send what Playwright's own clients never do. */
function withClient(body) {
  return withDriver(async (driver) => {
    const { endpoint } = await driver.launched('a');
    const browser = await firefox.connect(endpoint);
    try {
      const context = await browser.newContext();
      await body({ browser, context, page: await context.newPage() });
    } finally {
      await browser.close();
    }
  });
}

test('a client reads no files of the server, and can upload its own', withClient(async ({ page }) => {
  const secret = path.join(directory, 'secret');
  fs.writeFileSync(secret, 'secret');
  await page.setContent('<input type=file><input type=file webkitdirectory>');
  const [single, whole] = [page.locator('input').first(), page.locator('input').last()];
  const element = await whole.elementHandle();
  for (const params of [{ localDirectory: secret }, { localDirectory: directory }, { localPaths: [secret] }]) {
    await assert.rejects(element._elementChannel.setInputFiles({ ...params, timeout: 5000 }), /files of the server are not read/);
    const frame = page.mainFrame()._channel;
    await assert.rejects(frame.setInputFiles({ selector: 'input', ...params, timeout: 5000 }), /files of the server are not read/);
  }
  assert.equal(await whole.evaluate((input) => input.files.length), 0);
  await single.setInputFiles(secret);
  assert.equal(await single.evaluate((input) => input.files[0].text()), 'secret');
}));

test('a client writes no files of the server, and can save its own traces', withClient(async ({ browser, context, page }) => {
  const precious = path.join(directory, 'precious.network');
  fs.writeFileSync(precious, 'precious');
  const climbing = path.join('../'.repeat(20), directory, 'precious');
  await context.tracing._channel.tracingStart({ name: climbing, snapshots: true });
  await context.tracing._channel.tracingStartChunk({ name: climbing });
  await page.setContent('<p>traced');
  await context.tracing._channel.tracingStopChunk({ mode: 'discard' });
  await context.tracing._channel.tracingStop();
  const videos = path.join(directory, 'videos');
  await browser._channel.newContextForReuse({ recordVideo: { dir: videos } }).catch(() => {});
  assert.deepEqual(fs.readdirSync(directory).filter((name) => name !== 'secret'), ['precious.network']);
  assert.equal(fs.readFileSync(precious, 'utf8'), 'precious');

  const traced = await browser.newContext();
  const tracedPage = await traced.newPage();
  await traced.tracing.start({ name: 'own', snapshots: true, screenshots: true });
  for (const chunk of ['first', 'second']) {
    await traced.tracing.startChunk({ name: chunk });
    await tracedPage.setContent(`<p>${chunk}`);
    const file = path.join(directory, `${chunk}.zip`);
    await traced.tracing.stopChunk({ path: file });
    assert.equal(fs.readFileSync(file).subarray(0, 2).toString(), 'PK');
    assert.ok(fs.statSync(file).size > 1000);
    fs.rmSync(file);
  }
  await traced.tracing.stop();
}));

test('a client opens no other access to its browser, and starts no other program', withClient(async ({ browser, context }) => {
  await assert.rejects(browser._channel.startServer({ title: 'x', host: '127.0.0.1', port: 0 }), /attach at the address of the session/);
  await assert.rejects(browser._channel.killForTests(), /end the session/);
  await assert.rejects(context._channel.enableRecorder({ mode: 'recording' }), /a browser of your own/);
  assert.equal(browser.isConnected(), true);
  for (const [type, method] of [['BrowserType', 'launch'], ['BrowserType', 'connectOverCDP'], ['Electron', 'launch'], ['Android', 'devices']]) {
    assert.match(refusalOf(type, { method, params: {} }), /not for clients of a session/);
  }
}));

/**
 * Parameters of Playwright's protocol that look like file names but are none: names inside a page, or for the
 * client only.
 */
const NO_FILES = new Set([
  'BrowserContextClearCookies.path',
  'BrowserContextClearCookies.pathRegexSource',
  'BrowserContextClearCookies.pathRegexFlags',
  // Both are stored below a directory of the browser by Playwright's server.
  'BrowserContextCreateTempFiles.rootDirName',
  // Compared with the location of a client's script.
  'DebuggerRunTo.file',
  'TracingTracingGroup.file',
  // Created by `createTempFiles`.
  'FrameSetInputFiles.directoryStream',
  'ElementHandleSetInputFiles.directoryStream',
]);

/**
 * The methods of the protocol that Playwright's bundle declares, with the names of their parameters at any
 * depth.
 */
function protocol() {
  const bundle = createRequire(import.meta.url).resolve('playwright-core/lib/coreBundle');
  const text = fs.readFileSync(bundle, 'utf8');
  return [...text.matchAll(/\bscheme\d*\.([A-Z]\w*)Params = tObject\(\{/g)].map((match) => {
    let end = match.index + match[0].length;
    for (let depth = 1; depth > 0; end += 1) depth += { '{': 1, '}': -1 }[text[end]] ?? 0;
    const fields = text.slice(match.index + match[0].length, end).matchAll(/(\w+): t/g);
    return { name: match[1], fields: [...fields].map(([, field]) => field) };
  });
}

test('every parameter of the protocol that names a file is refused or removed', () => {
  const methods = protocol();
  assert.ok(methods.length > 200, `${methods.length} methods`);
  const objects = ['Root', 'Playwright', 'Browser', 'BrowserContext', 'BrowserType', 'Page', 'Frame', 'Worker', 'JSHandle', 'ElementHandle', 'Request',
    'Response', 'Route', 'WebSocket', 'WebSocketRoute', 'BindingCall', 'Dialog', 'Disposable', 'Debugger', 'Artifact', 'Stream', 'WritableStream', 'Tracing',
    'APIRequestContext', 'SocksSupport', 'Android', 'AndroidDevice', 'AndroidSocket', 'Electron', 'ElectronApplication', 'LocalUtils', 'DebugController',
    'JsonPipe', 'CDPSession'];
  let checked = 0;
  for (const { name, fields } of methods) {
    const type = objects.filter((object) => name.startsWith(object)).sort((a, b) => b.length - a.length)[0];
    assert.ok(type, `${name} is a method of an object that nobody has decided about`);
    const method = name[type.length].toLowerCase() + name.slice(type.length + 1);
    for (const field of fields.filter((field) => /path|(?<!re)dir(?!ect)|file|folder|executable/i.test(field))) {
      if (NO_FILES.has(`${name}.${field}`)) continue;
      // The only one at the top level.
      const params = field === 'dir' ? { recordVideo: { dir: 'x' } } : { [field]: 'x' };
      const refused = refusalOf(type, { method, params }) !== null;
      assert.ok(refused || !JSON.stringify(params).includes('"x"'), `${name} may name a file: ${field}`);
      checked += 1;
    }
  }
  assert.ok(checked > 20, `${checked} parameters`);
});

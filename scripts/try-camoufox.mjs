/**
 * Opens a page of its own in sessions of a running camofleet, reads some sixty properties in its window, a frame, a worker and the
 * request's headers, and prints what contradicts what. `scripts/try-camoufox.sh` runs it.
 *
 *   node try-camoufox.mjs URL [camoufox|firefox]     exit status 0: no contradictions
 */
import http from 'node:http';
import { createRequire } from 'node:module';

const [api, engine = 'camoufox'] = process.argv.slice(2);
const { firefox } = createRequire(new URL('../actors/driver/package.json', import.meta.url))('playwright-core');

/** What pages and workers both know. Runs in the browser. */
const SHARED = `() => {
  const { userAgent, appVersion, platform, language, languages, hardwareConcurrency, onLine } = navigator;
  const { timeZone, locale } = Intl.DateTimeFormat().resolvedOptions();
  return { userAgent, appVersion, platform, language, languages: [...languages], hardwareConcurrency, onLine, timeZone, locale,
    offset: new Date(Date.UTC(2026, 0, 15)).getTimezoneOffset(), date: new Date(0).toLocaleString(), number: (1234567.89).toLocaleString(),
    tan: Math.tan(-1e300), storage: typeof navigator.storage?.estimate };
}`;

/** What only pages know. Runs in the browser. */
const PAGE = `async () => {
  const shared = (${SHARED})();
  const gl = (kind) => {
    const context = document.createElement('canvas').getContext(kind);
    if (!context) return null;
    const info = context.getExtension('WEBGL_debug_renderer_info');
    const read = (name) => context.getParameter(name);
    return { vendor: info && read(info.UNMASKED_VENDOR_WEBGL), renderer: info && read(info.UNMASKED_RENDERER_WEBGL), version: read(context.VERSION),
      texture: read(context.MAX_TEXTURE_SIZE), extensions: context.getSupportedExtensions().length };
  };
  const drawing = () => {
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('2d');
    context.font = '16px serif';
    context.fillText('Camoufox 🦊 ﷽', 2, 20);
    return canvas.toDataURL();
  };
  const sound = async () => {
    const audio = new OfflineAudioContext(1, 5000, 44100);
    const tone = audio.createOscillator();
    const limit = audio.createDynamicsCompressor();
    tone.connect(limit).connect(audio.destination);
    tone.start();
    const samples = (await audio.startRendering()).getChannelData(0);
    return samples.slice(4500).reduce((sum, sample) => sum + Math.abs(sample), 0);
  };
  const width = (font) => {
    const context = document.createElement('canvas').getContext('2d');
    context.font = '40px ' + font;
    return context.measureText('mmmmmmmmmmlli WAVE 0123').width;
  };
  const has = (font) => ['monospace', 'serif', 'sans-serif'].some((base) => width('"' + font + '", ' + base) !== width(base));
  const media = (query) => matchMedia(query).matches;
  const state = (name) => navigator.permissions.query({ name }).then(({ state }) => state, () => null);
  const position = () => new Promise((resolve) => navigator.geolocation.getCurrentPosition(
    ({ coords }) => resolve([coords.latitude, coords.longitude, coords.accuracy]), () => resolve(null), { timeout: 5000 }));
  const geolocation = await state('geolocation');
  const { oscpu, maxTouchPoints, webdriver, doNotTrack, globalPrivacyControl, cookieEnabled, pdfViewerEnabled, vendor, productSub, buildID } = navigator;
  return { shared, oscpu, maxTouchPoints, webdriver, doNotTrack, globalPrivacyControl, cookieEnabled, pdfViewerEnabled, vendor, productSub, buildID,
    plugins: navigator.plugins.length, mimeTypes: navigator.mimeTypes.length,
    screen: [screen.width, screen.height], available: [screen.availWidth, screen.availHeight], at: [screen.availLeft, screen.availTop],
    depth: [screen.colorDepth, screen.pixelDepth], orientation: screen.orientation.type,
    outer: [outerWidth, outerHeight], inner: [innerWidth, innerHeight], place: [screenX, screenY], ratio: devicePixelRatio, history: history.length,
    deviceSize: media('(device-width: ' + screen.width + 'px) and (device-height: ' + screen.height + 'px)'),
    portrait: media('(device-aspect-ratio < 1/1)'), hover: media('(hover: hover)'), fine: media('(pointer: fine)'), dark: media('(prefers-color-scheme: dark)'),
    motion: media('(prefers-reduced-motion: reduce)'), webgl: gl('webgl'), webgl2: gl('webgl2'), drawings: [drawing(), drawing()], sounds: [await sound(), await sound()],
    fonts: Object.fromEntries(['Segoe UI', 'Helvetica Neue', 'Noto Sans', 'DejaVu Sans Mono', 'Papyrus', 'Calibri'].map((font) => [font, has(font)])),
    voices: speechSynthesis.getVoices().length, devices: (await navigator.mediaDevices?.enumerateDevices?.())?.map(({ kind }) => kind) ?? [],
    permissions: { geolocation, notifications: await state('notifications') }, notification: Notification.permission,
    position: geolocation === 'granted' ? await position() : null, quota: (await navigator.storage.estimate()).quota, webrtc: typeof RTCPeerConnection,
    stack: new Error('x').stack.split('\\n')[0].length > 0, eval: eval.toString().length, chrome: typeof window.chrome };
}`;

/** Reads everything in the window, a frame and a worker. Runs in the browser. */
const READ = `async () => {
  const page = await (${PAGE})();
  const frame = document.createElement('iframe');
  document.body.append(frame);
  const framed = frame.contentWindow.eval('(${SHARED.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', ' ')})()');
  const script = URL.createObjectURL(new Blob(['postMessage((${SHARED.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', ' ')})())']));
  const worked = await new Promise((resolve, reject) => {
    const worker = new Worker(script);
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  });
  return { page, framed, worked };
}`;

const VIENNA = { locale: ['de-AT', 'de'], timezone: 'Europe/Vienna', geolocation: { latitude: 48.2, longitude: 16.4, accuracy: 40 } };
const TORONTO = { locale: ['fr-CA', 'fr'], timezone: 'America/Toronto' };
const machines = (os, others) => (engine === 'camoufox' ? { os, ...others } : {});
const CASES = [
  { name: 'windows', body: { headless: true, ...machines('windows', { seed: 'try' }), ...VIENNA } },
  { name: 'the same seed', same: 'windows', body: { headless: true, ...machines('windows', { seed: 'try' }), ...VIENNA } },
  { name: 'another windows', other: 'windows', body: { headless: true, ...machines('windows'), ...VIENNA } },
  { name: 'macos', body: { headless: true, ...machines('macos'), ...TORONTO } },
  { name: 'linux', body: { headless: true, ...machines('linux') } },
  { name: 'with a screen', body: { vnc: true, screen: { width: 1600, height: 900 }, ...machines('windows'), ...TORONTO } },
];

/** What each system's user agent, platform and graphics card look like, and the fonts that only it has. */
const SYSTEMS = {
  windows: { agent: /Windows NT 10\.0/, platform: /^Win32$/, gpu: /^ANGLE/, font: 'Segoe UI' },
  macos: { agent: /Macintosh; Intel Mac OS X/, platform: /^MacIntel$/, gpu: /^(?!ANGLE)/, font: 'Helvetica Neue' },
  linux: { agent: /X11; Linux/, platform: /^Linux/, gpu: /^(?!ANGLE|Apple)/, font: null },
};

/** Every contradiction in what a session shows, as `[property, one side, other side]`. */
function contradictions(body, { page, framed, worked, headers, version }) {
  const found = [];
  const expect = (property, one, other) => {
    if (JSON.stringify(one) !== JSON.stringify(other)) found.push([property, one, other]);
  };
  const fits = (property, holds, one, other) => {
    if (!holds) found.push([property, one, other]);
  };
  const { shared } = page;
  for (const [where, seen] of Object.entries({ frame: framed, worker: worked })) {
    for (const [name, value] of Object.entries(shared)) expect(`${name}: window, ${where}`, value, seen[name]);
  }
  expect('userAgent: window, header', shared.userAgent, headers['user-agent']);
  expect('language: window, Accept-Language', shared.language, headers['accept-language']?.split(/[,;]/)[0]);
  fits('version: user agent, browser', shared.userAgent.includes(`Firefox/${version.split('.')[0]}.`), shared.userAgent, version);
  expect('languages, language', shared.languages[0], shared.language);
  if (body.locale) expect('languages: requested, shown', body.locale, shared.languages);
  if (body.timezone) expect('time zone: requested, shown', body.timezone, shared.timeZone);
  const there = new Date(Date.UTC(2026, 0, 15)).toLocaleString('en-GB', { timeZone: shared.timeZone, timeZoneName: 'longOffset' });
  const [, sign, hours, minutes] = /GMT(?:([+-])(\d+):(\d+))?$/.exec(there) ?? [];
  expect('offset: of the zone, of dates', (sign === '+' ? -1 : 1) * (Number(hours ?? 0) * 60 + Number(minutes ?? 0)) || 0, shared.offset || 0);
  if (body.geolocation) {
    expect('permission: of a place', 'granted', page.permissions.geolocation);
    expect('place: requested, shown', Object.values(body.geolocation), page.position);
  }
  if (body.screen) expect('screen: requested, shown', Object.values(body.screen), page.screen);
  const [width, height] = page.screen;
  fits('screen, device-width', page.deviceSize, page.screen, 'media query');
  for (const axis of [0, 1]) {
    fits('available, screen', page.available[axis] <= page.screen[axis], page.available, page.screen);
    fits('window, screen', page.outer[axis] <= page.screen[axis], page.outer, page.screen);
    fits('page, window', page.inner[axis] <= page.outer[axis], page.inner, page.outer);
  }
  expect('orientation, screen', page.orientation.startsWith('portrait'), height > width);
  expect('colour depths', page.depth[0], page.depth[1]);
  expect('permission: of notifications', page.permissions.notifications === 'granted', page.notification === 'granted');
  expect('drawn twice', page.drawings[0], page.drawings[1]);
  expect('played twice', page.sounds[0], page.sounds[1]);
  expect('WebGL, WebGL 2', page.webgl?.renderer, (page.webgl2 ?? page.webgl)?.renderer);
  expect('plugins, PDF viewer', page.plugins > 0, page.pdfViewerEnabled);
  expect('window.chrome', 'undefined', page.chrome);
  const system = SYSTEMS[body.os];
  if (!system) return found;
  expect('webdriver', false, page.webdriver);
  fits('system, user agent', system.agent.test(shared.userAgent), body.os, shared.userAgent);
  fits('system, platform', system.platform.test(shared.platform), body.os, shared.platform);
  fits('system, graphics card', page.webgl === null || system.gpu.test(page.webgl.renderer), body.os, page.webgl?.renderer);
  for (const [name, { font }] of Object.entries(SYSTEMS)) {
    if (font) expect(`font ${font} on ${body.os}`, name === body.os, page.fonts[font]);
  }
  fits('voices', page.voices > 0 || body.os === 'linux', body.os, page.voices);
  return found;
}

async function request(method, path, body) {
  const options = { method, headers: { 'Content-Type': 'application/json' }, ...(body ? { body: JSON.stringify(body) } : {}) };
  const response = await fetch(`${api}${path}`, options);
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

let headers = {};
const site = http.createServer((incoming, response) => {
  if (incoming.url === '/') headers = incoming.headers;
  response.setHeader('Content-Type', 'text/html; charset=utf-8').end('<!doctype html><title>try</title><body>');
});
await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));

/** What a page finds out in a new session. */
async function examine(body) {
  const session = await request('POST', '/sessions', body);
  const path = `/sessions/${session.worker}/${session.id}`;
  try {
    const browser = await firefox.connect(`${api.replace('http', 'ws')}${session.ws_endpoint}`);
    const page = await (await browser.newContext()).newPage();
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
    const seen = await page.evaluate(`(${READ})()`);
    await browser.close();
    return { ...seen, headers, version: session.browser_version };
  } finally {
    await request('DELETE', path);
  }
}

/** What has to be the same of one machine, and different of two. */
const lasting = ({ page: { position: _, quota: __, ...page } }) => JSON.stringify(page);

const rows = [];
const seen = {};
for (const { name, body, same, other } of CASES) {
  seen[name] = await examine(body);
  const found = contradictions(body, seen[name]);
  if (engine === 'camoufox' && same && lasting(seen[same]) !== lasting(seen[name])) found.push(['machine of the same seed', same, 'differs']);
  if (engine === 'camoufox' && other && lasting(seen[other]) === lasting(seen[name])) found.push(['machines of two sessions', other, 'are the same']);
  const { page } = seen[name];
  console.log(`${name}: ${Object.keys(page).length + Object.keys(page.shared).length} properties, ${page.shared.userAgent}, ${page.webgl?.renderer ?? 'no WebGL'}`);
  const short = (value) => JSON.stringify(value ?? null).slice(0, 60);
  rows.push(...found.map(([property, one, another]) => ({ session: name, property, one: short(one), other: short(another) })));
}
site.close();
if (rows.length > 0) console.table(rows);
console.log(rows.length === 0 ? 'no contradictions' : `${rows.length} contradictions`);
process.exitCode = rows.length === 0 ? 0 : 1;

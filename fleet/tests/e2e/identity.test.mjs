/** Identities of a stock Firefox: whatever a page asks, in a window, a frame, a worker or by a header, the answers agree. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { pathOf, temporaryDirectory } from './helpers/camofleet.mjs';
import { cityDatabase } from './helpers/cityDatabase.mjs';
import { openDetective } from './helpers/detective.mjs';
import { attach } from './helpers/playwright.mjs';
import { tinyproxy } from './helpers/proxies.mjs';
import { Server, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

const PLACE = { latitude: 48.2082, longitude: 16.3738, accuracy: 40 };
const TOKYO = { country_code: 'JP', city: 'Tokyo', latitude: 35.6895, longitude: 139.6917, timezone: '' };
const BERLIN = { country_code: 'DE', city: 'Berlin', latitude: 52.52, longitude: 13.405, timezone: '' };
const EXIT = '127.0.0.3';
const OTHER_EXIT = '127.0.0.4';
/** The request of one pool, which others of the same identity are served from: every option. */
const VIENNA = {
  locale: 'de-AT',
  timezone: 'Europe/Vienna',
  geolocation: PLACE,
  screen: { width: 1366, height: 768 },
  webrtc: 'proxy',
  block_images: true,
  user_preferences: { 'dom.maxHardwareConcurrency': 1 },
};
/** Nothing that only a browser shows whose machine is drawn. */
const NO_MACHINE = { os: null, webgl: null, fonts: null, humanize: null, addons: null, main_world_eval: null, seed: null };
/** The identity of a session whose request sets nothing. */
const NOTHING = {
  ...NO_MACHINE,
  ...{ locale: null, timezone: null, geolocation: null, screen: null, webrtc: null, block_images: false, user_preferences: {} },
};

let detective, proxy, other, directory, server, plain, drawn;
before(async () => {
  directory = temporaryDirectory();
  const cities = path.join(directory, 'cities.mmdb');
  fs.writeFileSync(cities, cityDatabase({ [EXIT]: TOKYO, [OTHER_EXIT]: BERLIN }));
  [detective, proxy, other] = await Promise.all([openDetective(), tinyproxy({ from: EXIT }), tinyproxy({ from: OTHER_EXIT })]);
  server = await Server.start({
    RUNNER_POOLS: JSON.stringify([{ name: 'vienna', count: 1, request: { vnc: true, ...VIENNA } }]),
    RUNNER_EXIT_IP_URL: `http://127.0.0.1:${detective.port}/ip`,
    RUNNER_GEOIP_DB: cities,
    RUNNER_PROXIES: JSON.stringify({ both: [proxy.url, other.url] }),
    RUNNER_WEBRTC_DIRECT: 'true',
    RUNNER_USER_PREFERENCE_PREFIXES: 'dom.maxHardwareConcurrency, network.',
  });
  // While the pool is filled, which takes as long.
  const limits = { screen: { max_width: 1400, max_height: 800 }, webrtc: 'on' };
  [plain, drawn] = await Promise.all([
    server.create({ headless: true }),
    server.create({ headless: true, proxy: proxy.url, locale: ['ja-JP', 'en-US'], timezone: 'Asia/Tokyo', coherence: 'warn', ...limits }),
  ]);
});
after(async () => {
  await server?.stop();
  await Promise.all([detective?.close(), proxy?.stop(), other?.stop()]);
  fs.rmSync(directory, { recursive: true, force: true });
});

/** What pages see of each option of an identity, where it is set and where it is not. */
const SEEN = {
  locale: (found, locale) => {
    const languages = locale === null ? ['en-US', 'en'] : locale;
    assert.deepEqual([found.languages, found.language, found.intl, found.collation], [languages, languages[0], languages[0], languages[0].split('-')[0] === 'de' ? 'de-AT' : found.collation]);
    const [first, ...rest] = languages;
    const header = [first, ...rest.map((tag, at) => `${tag};q=${(1 - (at + 1) / 10).toFixed(1)}`)].join(',');
    for (const [request, { language, agent }] of Object.entries(found.requests)) assert.deepEqual([language, agent], [header, found.agent], request);
    if (first === 'de-AT') assert.deepEqual([found.number, found.day], ['1\u00a0234,5', 'Donnerstag']);
    else if (first === 'ja-JP') assert.equal(found.day, '木曜日');
  },
  timezone: (found, timezone) => {
    if (timezone === null) return;
    const [winter, summer] = { 'Europe/Vienna': [1, 2], 'Asia/Tokyo': [9, 9] }[timezone];
    assert.deepEqual([found.timezone, found.offset, found.summer], [timezone, winter, summer]);
    assert.ok(found.clock.includes(`GMT+0${summer}00`), found.clock);
  },
  geolocation: (found, place) => {
    assert.equal(found.permission, place === null ? 'prompt' : 'granted');
    if (place !== null) assert.deepEqual(found.place, [place.latitude, place.longitude, place.accuracy]);
  },
  screen: (found, screen) => {
    // The window fills the screen, and pages fill the window.
    assert.deepEqual(found.window, found.screen);
    assert.deepEqual([found.available, found.media], [[0, 0, ...found.screen], true]);
    assert.deepEqual([found.inner[0], found.depth[2]], [found.screen[0], 1]);
    assert.ok(found.inner[1] > found.screen[1] - 168 && found.inner[1] < found.screen[1], String(found.inner));
    if (screen !== null) assert.deepEqual(found.screen, [screen.width, screen.height]);
  },
  webrtc: (found, webrtc) => {
    assert.equal(found.webrtc, webrtc === null || webrtc === 'off' ? 'undefined' : 'function');
    assert.equal(found.candidates, { on: true, proxy: false }[webrtc] ?? null, String(found.addresses));
    // Firefox does not use UDP on each page, but nothing may where it is not let out.
    if (webrtc !== 'on') assert.equal(found.udp, 0);
    for (const address of found.addresses) assert.match(address, /\.local \d+ typ host/);
  },
  block_images: (found, blocked) => {
    assert.equal(found.images, !blocked);
    assert.deepEqual(['/pixel.png', '/framed.png', '/background.png'].filter((image) => found.requests[image]).length, blocked ? 0 : 3);
  },
  user_preferences: (found, preferences) => {
    const most = preferences['dom.maxHardwareConcurrency'];
    if (most !== undefined) assert.equal(found.cores, most);
  },
};

/** What a page of a client that asks for nothing special finds out in a session; it is what the identity says, everywhere. */
async function investigate(session) {
  const client = await attach(server, session);
  const page = await (await client.newContext()).newPage();
  await page.goto(detective.url);
  const { block_images: blocked, webrtc } = session.identity;
  const found = await page.evaluate((expected) => globalThis.investigate(expected), { images: !blocked, candidates: webrtc === 'on' });
  const { page: first, ...others } = found.seen;
  // Headless browsers of a session without a place would ask their user.
  const place = first.permission === 'granted' ? await page.evaluate(() => globalThis.place()) : null;
  await client.close();
  for (const [where, seen] of Object.entries(others)) {
    for (const [what, value] of Object.entries(seen)) assert.deepEqual(value, first[what], `${what} in ${where}`);
  }
  assert.deepEqual(Object.keys(found.requests).filter((request) => /^\/(frame|.*\.js)?$/.test(request)).sort(), ['/', '/frame', '/service.js', '/shared.js', '/worker.js']);
  const all = { ...found, ...first, place };
  for (const [option, expects] of Object.entries(SEEN)) expects(all, session.identity[option]);
  // Whatever the identity: no names of devices without a permission, and answers that do not contradict each other.
  assert.ok(all.devices.every(([, label]) => label === ''), JSON.stringify(all.devices));
  assert.ok(['default prompt', 'denied denied'].includes(all.notifications.join(' ')), String(all.notifications));
  return all;
}

test('every option of an identity is seen alike everywhere, from a warm browser with a live view, and is the same after a crash', async () => {
  await server.poolsFull();
  const session = await server.create({ vnc: true, ...VIENNA });
  assert.deepEqual(session.identity, { ...NO_MACHINE, ...VIENNA, locale: ['de-AT', 'de'] });
  assert.equal((await server.metrics()).value('camofleet_session_create_seconds_count', { source: 'warm' }), 1);
  const before = await investigate(session);
  const report = await server.read(`${pathOf(session)}/identity`);
  assert.deepEqual(report.identity, session.identity);
  assert.deepEqual(new Set(Object.values(report.sources)), new Set(['request']));
  assert.deepEqual(Object.keys(report.sources).sort(), Object.keys(VIENNA).sort());
  const picture = await server.request('GET', `${pathOf(session)}/screenshot`);
  assert.equal(picture.status, 200);
  // The size in the frame header of a JPEG file.
  const frame = picture.bytes.indexOf(Buffer.from([0xff, 0xc0]));
  assert.deepEqual([picture.bytes.readUInt16BE(frame + 7), picture.bytes.readUInt16BE(frame + 5)], [1366, 768]);
  process.kill(server.browserOf(session).pid, 'SIGKILL');
  await until(async () => {
    const now = await server.session(session);
    return now.restarts === 1 && now.status === 'READY';
  }, 'the session to be restarted');
  const after = await investigate(session);
  assert.deepEqual(after.seen, before.seen);
  assert.deepEqual(await server.read(`${pathOf(session)}/identity`), report);
  await server.end(session);
});

test('a screen is drawn within its limits, and WebRTC is let out where a request wants that', async () => {
  const { width, height } = drawn.identity.screen;
  assert.ok(['1366x768', '1360x768', '1280x720', '1280x800', '1024x768'].includes(`${width}x${height}`), `${width}x${height}`);
  assert.deepEqual(await contradictionsOf(drawn), []);
  await investigate(drawn);
  await server.end(drawn);
});

test('a session without an identity shows what the browser has by itself', async () => {
  assert.deepEqual(plain.identity, NOTHING);
  await investigate(plain);
  await server.end(plain);
});

/** The contradictions of a session once they are known, as pairs of field and what it contradicts. */
async function contradictionsOf(session) {
  const known = async () => (await server.session(session)).contradictions;
  await until(async () => (await known()) !== null, 'the identity to be compared with the exit');
  return (await known()).map(({ field, against, fact }) => [field, against, fact]);
}

test('auto takes language, time zone and place from the exit of the proxy, and another exit contradicts them', async () => {
  const session = await server.create({ headless: true, proxy: proxy.url, locale: 'auto', timezone: 'auto', geolocation: 'auto' });
  const { locale, timezone, geolocation } = session.identity;
  assert.deepEqual([locale, timezone], [['ja-JP', 'ja', 'en-US', 'en'], 'Asia/Tokyo']);
  assert.deepEqual(geolocation, { latitude: TOKYO.latitude, longitude: TOKYO.longitude, accuracy: 5000 });
  await investigate(session);
  const { sources } = await server.read(`${pathOf(session)}/identity`);
  assert.deepEqual(sources, { locale: 'exit', timezone: 'exit', geolocation: 'exit' });
  assert.deepEqual(session.contradictions, []);
  const move = async (url) => {
    const moved = await server.request('PATCH', pathOf(session), { body: { proxy: url } });
    assert.deepEqual([moved.status, moved.json.contradictions], [200, null], moved.text);
    return contradictionsOf(session);
  };
  const expected = [
    ['locale', 'exit_country', 'DE'],
    ['timezone', 'exit_timezone', 'Europe/Berlin'],
    ['geolocation', 'exit_timezone', 'Europe/Berlin'],
  ];
  assert.deepEqual(await move(other.url), expected);
  const history = await server.read(`${pathOf(session)}/events`);
  assert.match(history.findLast(({ change }) => change === 'compared').detail, /^locale: ja-JP.*; timezone: Asia\/Tokyo.*; geolocation/);
  assert.deepEqual(await move(proxy.url), []);
  // Of direct connections nothing is known here.
  await server.request('PATCH', pathOf(session), { body: { proxy: 'direct' } });
  assert.equal((await server.session(session)).contradictions, null);
  await server.end(session);
});

test('auto takes a part from the proxy of a pool that the session keeps, and fails where nothing is known', async () => {
  const pooled = await Promise.all([1, 2].map(() => server.create({ headless: true, proxy: 'both', timezone: 'auto' })));
  for (const session of pooled) {
    const client = await attach(server, session);
    const page = await (await client.newContext()).newPage();
    await page.goto(`${detective.url}ip`);
    const zones = { [EXIT]: 'Asia/Tokyo', [OTHER_EXIT]: 'Europe/Berlin' };
    assert.equal(session.identity.timezone, zones[await page.textContent('body')]);
    await client.close();
    await server.end(session);
  }
  const nowhere = await server.request('POST', '/sessions', { body: { headless: true, timezone: 'auto' } });
  assert.deepEqual([nowhere.status, nowhere.json.code], [502, 'no_exit_place'], nowhere.text);
  assert.match(nowhere.json.detail, /^timezone: 'auto' .*the time zone of 127\.0\.0\.1 is not known/);
  assert.deepEqual(await server.sessions(), []);
});

test('an identity that does not fit the exit of its proxy is refused with both sides, or shown where a request wants that', async () => {
  const tokyo = (body) => server.request('POST', '/sessions', { body: { headless: true, proxy: proxy.url, ...body } });
  for (const [body, says] of [
    [{ locale: 'de-AT' }, /^locale: de-AT, de does not fit the exit 127\.0\.0\.3 in JP \(Tokyo\)/],
    [{ locale: 'de-AT', timezone: 'auto' }, /^locale: de-AT, de does not fit/],
    [{ timezone: 'Europe/Vienna', geolocation: PLACE }, /^timezone: Europe\/Vienna .* time zone is Asia\/Tokyo; geolocation: 48\.2082, 16\.3738 in the time zone Europe\/Vienna does/],
  ]) {
    const refused = await tokyo(body);
    assert.deepEqual([refused.status, refused.json.code], [409, 'incoherent_identity'], refused.text);
    assert.match(refused.json.detail, says);
    assert.match(refused.json.detail, /"auto", choose another proxy, or set "coherence": "warn"/);
  }
  assert.deepEqual(await server.sessions(), []);
  const given = await tokyo({ locale: 'de-AT', coherence: 'warn' });
  assert.equal(given.status, 201, given.text);
  assert.deepEqual(await contradictionsOf(given.json), [['locale', 'exit_country', 'JP']]);
  await server.end(given.json);
});

test('what no browser can show is refused, and the field is named', async () => {
  for (const [body, says] of [
    [{ locale: 'german' }, /^locale: must be "auto", a language tag/],
    [{ timezone: 'Europe/Atlantis' }, /^timezone: must be "auto", or a time zone/],
    [{ geolocation: { latitude: 91, longitude: 0 } }, /^geolocation: must be "auto", or an object/],
    [{ screen: { width: 100, height: 100 } }, /^screen: must be an object with width and height/],
    [{ screen: { min_width: 5000 } }, /^screen: .* within which a common size such as 1366x768 lies/],
    [{ webrtc: 'maybe' }, /^webrtc: must be one of "off", "proxy", "on"/],
    [{ user_preferences: { 'layout.css.devPixelsPerPx': '2' } }, /^user_preferences: layout\.css\.devPixelsPerPx is not allowed here; .* begin with dom\.maxHardwareConcurrency, network\./],
    [{ user_preferences: { 'network.proxy.type': 0 } }, /^user_preferences: network\.proxy\.type is one that camofleet sets itself/],
    [{ engine: 'camoufox' }, /^engine: the browsers here are firefox; leave it out, or name a worker whose 'facts\.engine\.name' is camoufox/],
  ]) {
    const refused = await server.request('POST', '/sessions', { body });
    assert.deepEqual([refused.status, refused.json.code], [422, 'invalid_field'], refused.text);
    assert.match(refused.json.detail, says);
  }
});

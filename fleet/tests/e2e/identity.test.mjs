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
/** The request of one pool, which others of the same identity are served from. */
const VIENNA = { locale: 'de-AT', timezone: 'Europe/Vienna', geolocation: PLACE, screen: { width: 1366, height: 768 } };

let detective, proxy, other, directory, server;
before(async () => {
  directory = temporaryDirectory();
  const cities = path.join(directory, 'cities.mmdb');
  fs.writeFileSync(cities, cityDatabase({ [EXIT]: TOKYO, [OTHER_EXIT]: BERLIN }));
  [detective, proxy, other] = await Promise.all([openDetective(), tinyproxy({ from: EXIT }), tinyproxy({ from: OTHER_EXIT })]);
  server = await Server.start({
    RUNNER_POOLS: JSON.stringify([{ name: 'vienna', count: 1, request: { headless: true, ...VIENNA } }]),
    RUNNER_EXIT_IP_URL: `http://127.0.0.1:${detective.port}/ip`,
    RUNNER_GEOIP_DB: cities,
    RUNNER_PROXIES: JSON.stringify({ both: [proxy.url, other.url] }),
  });
});
after(async () => {
  await server?.stop();
  await Promise.all([detective?.close(), proxy?.stop(), other?.stop()]);
  fs.rmSync(directory, { recursive: true, force: true });
});

/** What a page of a client that asks for nothing special finds out in a session. */
async function investigate(session) {
  const client = await attach(server, session);
  const page = await (await client.newContext()).newPage();
  await page.goto(detective.url);
  const found = await page.evaluate(() => globalThis.investigate());
  // Headless browsers of a session without a place would ask their user.
  const place = found.permission === 'granted' ? await page.evaluate(() => globalThis.place()) : null;
  await client.close();
  const { page: first, ...others } = found.seen;
  for (const [where, seen] of Object.entries(others)) {
    for (const [what, value] of Object.entries(seen)) assert.deepEqual(value, first[what], `${what} in ${where}`);
  }
  return { ...found, ...first, place };
}

/** Expects what Vienna's browser shows. */
function isVienna(found) {
  assert.deepEqual(found.languages, ['de-AT', 'de']);
  assert.equal(found.language, 'de-AT');
  assert.equal(found.header, 'de-AT,de;q=0.9');
  assert.deepEqual([found.intl, found.number], ['de-AT', '1\u00a0234,5']);
  assert.deepEqual([found.timezone, found.offset], ['Europe/Vienna', 1]);
  assert.deepEqual([found.permission, found.place], ['granted', [PLACE.latitude, PLACE.longitude, PLACE.accuracy]]);
  assert.deepEqual(found.screen, [1366, 768]);
  // The window fills the screen, and pages fill the window.
  assert.deepEqual(found.window, [1366, 768]);
  assert.equal(found.inner[0], 1366);
  assert.ok(found.inner[1] > 600 && found.inner[1] < 768, String(found.inner));
}

test('every option of an identity is seen alike by pages, frames, workers and headers, from a warm browser', async () => {
  await server.poolsFull();
  const session = await server.create({ headless: true, ...VIENNA });
  assert.deepEqual(session.identity, { locale: ['de-AT', 'de'], timezone: 'Europe/Vienna', geolocation: PLACE, screen: VIENNA.screen });
  assert.equal((await server.metrics()).value('camofleet_session_create_seconds_count', { source: 'warm' }), 1);
  isVienna(await investigate(session));
  await server.end(session);
});

test('with a live view the display has the size of the screen, and a restart is the same machine', async () => {
  const session = await server.create({ vnc: true, ...VIENNA });
  isVienna(await investigate(session));
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
  isVienna(await investigate(session));
  await server.end(session);
});

test('auto takes language, time zone and place from the exit of the proxy', async () => {
  const session = await server.create({ headless: true, proxy: proxy.url, locale: 'auto', timezone: 'auto', geolocation: 'auto' });
  const found = await investigate(session);
  assert.deepEqual(found.languages, ['ja-JP', 'ja', 'en-US', 'en']);
  assert.equal(found.header, 'ja-JP,ja;q=0.9,en-US;q=0.8,en;q=0.7');
  assert.deepEqual([found.timezone, found.offset], ['Asia/Tokyo', 9]);
  assert.deepEqual(found.place, [TOKYO.latitude, TOKYO.longitude, 5000]);
  await server.end(session);
  // Of a pool it is the proxy that the session keeps.
  for (let number = 0; number < 2; number += 1) {
    const pooled = await server.create({ headless: true, proxy: 'both', timezone: 'auto' });
    const client = await attach(server, pooled);
    const page = await (await client.newContext()).newPage();
    await page.goto(`${detective.url}/ip`);
    const zones = { [EXIT]: 'Asia/Tokyo', [OTHER_EXIT]: 'Europe/Berlin' };
    assert.equal(pooled.identity.timezone, zones[await page.textContent('body')]);
    await client.close();
    await server.end(pooled);
  }
  // Nothing is known of the exit of direct connections here.
  const nowhere = await server.request('POST', '/sessions', { body: { headless: true, timezone: 'auto' } });
  assert.deepEqual([nowhere.status, nowhere.json.code], [502, 'no_exit_place'], nowhere.text);
  assert.match(nowhere.json.detail, /^timezone: 'auto' .*the time zone of 127\.0\.0\.1 is not known/);
  assert.deepEqual(await server.sessions(), []);
});

/** The contradictions of a session once they are known, as pairs of field and what it contradicts. */
async function contradictionsOf(session) {
  const known = async () => (await server.session(session)).contradictions;
  await until(async () => (await known()) !== null, 'the identity to be compared with the exit');
  return (await known()).map(({ field, against, fact }) => [field, against, fact]);
}

test('an identity that does not fit the exit of its proxy is refused with both sides', async () => {
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
  const fits = await tokyo({ locale: ['ja-JP', 'en-US'], timezone: 'Asia/Tokyo' });
  assert.deepEqual([fits.status, fits.json.contradictions], [201, []], fits.text);
  await server.end(fits.json);
});

test('contradictions are shown where a request wants that, and after a change of the proxy', async () => {
  const given = await server.create({ headless: true, proxy: proxy.url, locale: 'de-AT', coherence: 'warn' });
  assert.deepEqual(await contradictionsOf(given), [['locale', 'exit_country', 'JP']]);
  await server.end(given);
  const session = await server.create({ headless: true, proxy: proxy.url, locale: 'auto', timezone: 'auto' });
  assert.deepEqual(session.contradictions, []);
  const move = async (url) => {
    const moved = await server.request('PATCH', pathOf(session), { body: { proxy: url } });
    assert.deepEqual([moved.status, moved.json.contradictions], [200, null], moved.text);
    return contradictionsOf(session);
  };
  const expected = [
    ['locale', 'exit_country', 'DE'],
    ['timezone', 'exit_timezone', 'Europe/Berlin'],
  ];
  assert.deepEqual(await move(other.url), expected);
  const history = await server.read(`${pathOf(session)}/events`);
  assert.match(history.findLast(({ change }) => change === 'compared').detail, /^locale: ja-JP.*; timezone: Asia\/Tokyo/);
  assert.deepEqual(await move(proxy.url), []);
  // Of direct connections nothing is known here.
  await server.request('PATCH', pathOf(session), { body: { proxy: 'direct' } });
  assert.equal((await server.session(session)).contradictions, null);
  await server.end(session);
});

test('a session without an identity shows what the browser has by itself', async () => {
  const session = await server.create({ headless: true });
  assert.deepEqual(session.identity, { locale: null, timezone: null, geolocation: null, screen: null });
  const found = await investigate(session);
  assert.deepEqual([found.languages, found.permission], [['en-US', 'en'], 'prompt']);
  await server.end(session);
});

test('what no browser can show is refused, and the field is named', async () => {
  for (const [body, says] of [
    [{ locale: 'german' }, /^locale: must be "auto", a language tag/],
    [{ timezone: 'Europe/Atlantis' }, /^timezone: must be "auto", or a time zone/],
    [{ geolocation: { latitude: 91, longitude: 0 } }, /^geolocation: must be "auto", or an object/],
    [{ screen: { width: 100, height: 100 } }, /^screen: must be an object with width and height/],
  ]) {
    const refused = await server.request('POST', '/sessions', { body });
    assert.deepEqual([refused.status, refused.json.code], [422, 'invalid_field'], refused.text);
    assert.match(refused.json.detail, says);
  }
});

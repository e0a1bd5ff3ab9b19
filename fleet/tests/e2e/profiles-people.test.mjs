/** Two profiles behind two proxies: different people at once, and each the same again, whatever happened in between. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { temporaryDirectory } from './helpers/camofleet.mjs';
import { cityDatabase } from './helpers/cityDatabase.mjs';
import { openDetective } from './helpers/detective.mjs';
import { memoryOf, openMemorySite, recall, remember, untilStored } from './helpers/memorySite.mjs';
import { attach } from './helpers/playwright.mjs';
import { browsers } from './helpers/processes.mjs';
import { tinyproxy } from './helpers/proxies.mjs';
import { Server, test } from './helpers/server.mjs';

const AUTO = { locale: 'auto', timezone: 'auto', geolocation: 'auto' };
const PEOPLE = {
  yuki: { exit: '127.0.0.3', city: { country_code: 'JP', city: 'Tokyo', latitude: 35.6895, longitude: 139.6917, timezone: '' }, screen: { width: 1366, height: 768 } },
  hans: { exit: '127.0.0.4', city: { country_code: 'DE', city: 'Berlin', latitude: 52.52, longitude: 13.405, timezone: '' }, screen: { width: 1536, height: 864 } },
};
const NAMES = Object.keys(PEOPLE);

let directory, detective, site, proxies, server, other;
before(async () => {
  directory = temporaryDirectory();
  const cities = path.join(directory, 'cities.mmdb');
  fs.writeFileSync(cities, cityDatabase(Object.fromEntries(Object.values(PEOPLE).map(({ exit, city }) => [exit, city]))));
  [detective, site] = await Promise.all([openDetective(), openMemorySite()]);
  proxies = Object.fromEntries(await Promise.all(NAMES.map(async (name) => [name, await tinyproxy({ from: PEOPLE[name].exit })])));
  const settings = { RUNNER_EXIT_IP_URL: `http://127.0.0.1:${detective.port}/ip`, RUNNER_GEOIP_DB: cities };
  [server, other] = await Promise.all([Server.start(settings), Server.start(settings)]);
});
after(async () => {
  await Promise.all([server?.stop(), other?.stop()]);
  await Promise.all([detective?.close(), site?.close(), ...Object.values(proxies ?? {}).map((proxy) => proxy.stop())]);
  fs.rmSync(directory, { recursive: true, force: true });
});

/** Everything that distinguishes a person, as sites see it. */
async function look(session, at = server) {
  const client = await attach(at, session);
  const [context] = client.contexts();
  const page = context.pages()[0] ?? (await context.newPage());
  await page.goto(detective.url);
  const { seen } = await page.evaluate(() => globalThis.investigate({ images: true, candidates: false }));
  const place = await page.evaluate(() => globalThis.place());
  const exit = await page.evaluate(async () => (await fetch('/ip')).text());
  const memory = await recall(context, site);
  await client.close();
  return { languages: seen.page.languages, timezone: seen.page.timezone, screen: seen.page.screen, intl: seen.page.intl, place, exit, memory };
}

const open = (name, at = server, more = {}) => at.create({ headless: true, profile: name, ...more });

test('two profiles are two people at once, and each is the same again after anything', async () => {
  const first = {};
  await Promise.all(NAMES.map(async (name) => {
    const { screen } = PEOPLE[name];
    const session = await open(name, server, { proxy: proxies[name].url, screen, ...AUTO });
    const client = await attach(server, session);
    await remember(client.contexts()[0], site, name);
    await client.close();
    first[name] = await look(session);
    await server.end(session);
  }));
  const { yuki, hans } = first;
  assert.deepEqual([yuki.languages[0], yuki.timezone, yuki.exit], ['ja-JP', 'Asia/Tokyo', PEOPLE.yuki.exit]);
  assert.deepEqual([hans.languages[0], hans.timezone, hans.exit], ['de-DE', 'Europe/Berlin', PEOPLE.hans.exit]);
  assert.deepEqual([yuki.memory, hans.memory], [memoryOf('yuki'), memoryOf('hans')]);
  for (const what of ['languages', 'timezone', 'screen', 'intl', 'place']) assert.notDeepEqual(yuki[what], hans[what], what);

  const sessions = await Promise.all(NAMES.map((name) => open(name)));
  for (const [at, name] of NAMES.entries()) assert.deepEqual(await look(sessions[at]), first[name], `${name} in another session`);

  await Promise.all(sessions.map(async (session) => {
    const client = await attach(server, session);
    await untilStored(client.contexts()[0]);
    await client.close();
  }));
  for (const browser of browsers(server.runBase)) process.kill(browser.pid, 'SIGKILL');
  for (const [at, name] of NAMES.entries()) {
    await server.sessionThat(sessions[at], ({ restarts, status }) => restarts === 1 && status === 'READY', 'restarted');
    assert.deepEqual(await look(sessions[at]), first[name], `${name} after a crash`);
  }

  server.kill('SIGTERM');
  await server.awaitEnd();
  server = await server.again();
  for (const name of NAMES) {
    const session = await open(name);
    assert.deepEqual(await look(session), first[name], `${name} after a restart of camofleet`);
    await server.end(session);
  }

  for (const name of NAMES) {
    const archive = await server.request('GET', `/profiles/${name}/archive`);
    const headers = { 'content-type': 'application/zstd' };
    const imported = await other.request('POST', `/profiles/import?name=${name}`, { body: archive.bytes, headers });
    assert.equal(imported.status, 201, imported.text);
    const session = await open(name, other);
    assert.deepEqual(await look(session, other), first[name], `${name} on another machine`);
    await other.end(session);
  }
});

/** Checks of proxies, with real ones and through all roles: the exit, its place, and failures within their time. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Camofleet, temporaryDirectory, test } from './helpers/camofleet.mjs';
import { cityDatabase } from './helpers/cityDatabase.mjs';
import { ExitSite } from './helpers/exitSite.mjs';
import { Original } from './helpers/originals.mjs';
import { freePort } from './helpers/ports.mjs';
import { dante, overTls, tinyproxy } from './helpers/proxies.mjs';
import { startControl } from './helpers/roles.mjs';
import { Authority, terminateTls } from './helpers/tls.mjs';
import { until } from './helpers/wait.mjs';

const FROM = { direct: '127.0.0.1', dante: '127.0.0.2', tinyproxy: '127.0.0.3', tls: '127.0.0.4' };
/** The name of the site, which only the proxies can resolve. */
const SHOP = 'shop.example';
const TLS_HOST = 'localhost';
const LIMIT_SECONDS = 2;
const BERLIN = { country_code: 'DE', city: 'Berlin', latitude: 52.52, longitude: 13.405, timezone: '' };
const NEW_YORK = { country_code: 'US', city: 'New York', latitude: 40.7128, longitude: -74.006, timezone: '' };

let directory, site, proxies, fronts, original, runner, bare, worker, control;
before(async () => {
  directory = temporaryDirectory();
  const authority = new Authority(directory, TLS_HOST);
  site = await ExitSite.open();
  const names = { [SHOP]: '127.0.0.1' };
  const [socks, http, behind] = await Promise.all([
    dante({ from: FROM.dante, names }),
    tinyproxy({ from: FROM.tinyproxy, names }),
    tinyproxy({ from: FROM.tls, names }),
  ]);
  proxies = { socks, http, behind };
  fronts = { proxy: await overTls(behind, authority, TLS_HOST), site: await terminateTls(authority, `http://127.0.0.1:${site.port}`) };
  const cities = path.join(directory, 'cities.mmdb');
  fs.writeFileSync(cities, cityDatabase({ [FROM.dante]: BERLIN, [FROM.tinyproxy]: NEW_YORK }));
  original = await Original.start('worker');
  const common = { SSL_CERT_FILE: authority.file, RUNNER_GEOIP_DB: cities, RUNNER_EXIT_IP_TIMEOUT_SECONDS: String(LIMIT_SECONDS) };
  // The first service is down.
  const services = [`http://127.0.0.1:${await freePort()}/ip`, `http://${SHOP}:${site.port}/ip.json?key=s3rvice`];
  [runner, bare] = await Promise.all([
    Camofleet.start('runner', {
      ...common,
      RUNNER_EXIT_IP_URL: services.join(','),
      RUNNER_PROXIES: JSON.stringify({ us: [http.url] }),
      RUNNER_SESSION_DEFAULTS__PROXY: socks.url,
    }),
    Camofleet.start('runner', { ...common, RUNNER_GEOIP_DB: '', RUNNER_DRIVER_DIR: driverAlone() }),
  ]);
  worker = await Camofleet.start('worker', { WORKER_RUNNER_BASE_URL: runner.url });
  control = await startControl([
    { name: 'old', url: original.url },
    { name: 'bare', url: bare.url },
    { name: 'west', url: worker.url },
  ]);
});
after(async () => {
  for (const role of [control, worker, runner, bare]) await role?.stop();
  await Promise.all([...Object.values(proxies ?? {}).map((proxy) => proxy.stop()), site?.close(), original?.close?.()]);
  for (const front of Object.values(fronts ?? {})) front.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

/** The driver in a directory of its own, so that no city database is installed beside it. */
function driverAlone() {
  const real = process.env.RUNNER_DRIVER_DIR ?? fileURLToPath(new URL('../../../actors/driver', import.meta.url));
  const driver = path.join(directory, 'alone/driver');
  fs.mkdirSync(driver, { recursive: true });
  for (const name of fs.readdirSync(real)) fs.symlinkSync(path.join(real, name), path.join(driver, name));
  return driver;
}

/** A check's answer, and how long it took in milliseconds. */
async function check(server, body) {
  const started = performance.now();
  const answer = await server.request('POST', '/proxies/check', { body });
  return { ...answer, took: performance.now() - started };
}

test('every role checks where a proxy lets connections out, and by the second service if the first is down', async () => {
  const { username, password, server } = proxies.socks;
  const at = ({ latitude, longitude }) => ({ latitude, longitude, accuracy: 5000 });
  const berlin = { country: 'DE', city: 'Berlin', location: at(BERLIN), timezone: 'Europe/Berlin' };
  const newYork = { country: 'US', city: 'New York', location: at(NEW_YORK), timezone: 'America/New_York' };
  const nowhere = { country: null, city: null, location: null, timezone: null };
  for (const role of [runner, worker, control]) {
    for (const [proxy, exit, place] of [
      [{ server, username, password }, FROM.dante, berlin],
      [proxies.socks.url, FROM.dante, berlin],
      [proxies.http.url, FROM.tinyproxy, newYork],
      ['us', FROM.tinyproxy, newYork],
      [fronts.proxy.url, FROM.tls, nowhere],
      [undefined, FROM.dante, berlin],
    ]) {
      const { status, json, text, took } = await check(role, { proxy });
      assert.equal(status, 200, text);
      const { latency_ms: latency, ...rest } = json;
      assert.deepEqual(rest, { ok: true, exit_ip: exit, ...place, error: null, code: null }, `${role.role}: ${JSON.stringify(proxy)}`);
      assert.ok(Number.isInteger(latency) && latency <= took, `${latency} of ${took} ms`);
    }
  }
  assert.ok(site.visits.every((visit) => visit.endsWith(' /ip.json')), 'no other service was reached');
});

test('a proxy that does not work is a result with the reason, within the time for it', async () => {
  const hanging = net.createServer(() => {}).listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  const visits = site.visits.length;
  const wrong = { server: proxies.socks.server, username: proxies.socks.username, password: 's3cret-wrong' };
  try {
    for (const [role, proxy, code, error, limit] of [
      [control, wrong, 'proxy_denied', /^the proxy requires another user name or password$/, 1500],
      [control, proxies.http.url.replace(/:[^:@]+@/, ':s3cret-wrong@'), 'proxy_denied', /^the proxy requires another user name or password$/, 1500],
      [control, `socks5://me:s3cret-wrong@127.0.0.1:${await freePort()}`, 'proxy_unreachable', /^the proxy can't be reached$/, 1500],
      [control, `http://127.0.0.1:${site.port}`, 'proxy_failed', /^the proxy answered with an error, or not as its protocol says$/, 1500],
      [control, `https://127.0.0.1:${site.port}`, 'proxy_unreachable', /^the proxy can't be reached$/, 1500],
      [control, runner.url, 'fleet', /^something of camofleet listens at the proxy's address$/, 1500],
      [control, 'http://169.254.169.254', 'link_local', /^the proxy's address is link-local, or the metadata service of a cloud$/, 1500],
      [control, 'direct', 'service_failed', new RegExp(`^127\\.0\\.0\\.1: it can't be reached; ${SHOP}: its name has no address$`), 1500],
      [worker, `socks5://127.0.0.1:${hanging.address().port}`, 'timed_out', /^the proxy has made no connection within 1\.0 s$/, 3500],
    ]) {
      const { status, json, text, took } = await check(role, { proxy });
      assert.equal(status, 200, text);
      assert.match(json.error, error, text);
      assert.deepEqual({ ...json, error: null }, { ok: false, exit_ip: null, country: null, city: null, location: null, timezone: null, latency_ms: null, error: null, code });
      assert.ok(took < limit, `${took} ms for ${error}`);
    }
  } finally {
    hanging.close();
  }
  assert.deepEqual(site.visits.slice(visits).filter((visit) => visit.includes('/ip')), [], 'nothing came to the service');
});

test('a check ends in every role when its client disconnects', async () => {
  const hanging = net.createServer().listen(0, '127.0.0.1');
  await once(hanging, 'listening');
  // Longer than the test waits.
  const patient = await Camofleet.start('runner', { RUNNER_EXIT_IP_URL: `http://${SHOP}/ip`, RUNNER_EXIT_IP_TIMEOUT_SECONDS: '120' });
  const between = await Camofleet.start('worker', { WORKER_RUNNER_BASE_URL: patient.url });
  const above = await startControl([{ name: 'west', url: between.url }], { CONTROL_REQUEST_TIMEOUT: '120' });
  try {
    for (const role of [patient, between, above]) {
      const client = new AbortController();
      const came = once(hanging, 'connection');
      const body = JSON.stringify({ proxy: `http://127.0.0.1:${hanging.address().port}` });
      const headers = { 'content-type': 'application/json' };
      const answer = fetch(`${role.url}/proxies/check`, { method: 'POST', headers, body, signal: client.signal });
      answer.catch(() => {});
      const [connection] = await came;
      connection.resume().on('error', () => {});
      client.abort();
      await until(() => connection.closed, `the check to end: ${role.role}`);
    }
  } finally {
    for (const role of [above, between, patient]) await role.stop();
    hanging.close();
  }
});

test('what can’t be checked is refused with the reason, and nothing shows credentials', async () => {
  for (const [role, body, status, code, detail] of [
    [bare, { proxy: proxies.socks.url }, 409, 'no_exit_ip_url', /set RUNNER_EXIT_IP_URL/],
    [control, { proxy: proxies.socks.url, worker: 'bare' }, 409, 'no_exit_ip_url', /set RUNNER_EXIT_IP_URL/],
    [control, { proxy: proxies.socks.url, worker: 'old' }, 502, 'no_egress', /install the current camofleet/],
    [control, { proxy: proxies.socks.url, worker: 'nobody' }, 404, 'worker_not_found', /Worker not found/],
    [control, { proxy: 'ftp://me:s3cret@a' }, 422, 'invalid_field', /^proxy: must be a URL/],
    [control, { proxy: 'nowhere' }, 422, 'invalid_field', /no pool of proxies 'nowhere' here; RUNNER_PROXIES has us/],
    [worker, { proxy: 5 }, 422, 'invalid_field', /^proxy: must be a string/],
    [runner, '{', 422, 'invalid_json', /JSON/],
  ]) {
    const answer = await check(role, body);
    assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text);
    assert.match(answer.json.detail, detail);
  }
  const health = await Promise.all([runner, bare].map((role) => role.read('/health')));
  const [facts, none] = health.map(({ facts: { egress } }) => [egress.checks_proxies, egress.city_database]);
  assert.deepEqual([facts, none], [[true, 'test cities of 2026-06-05'], [false, null]]);
  const secrets = [proxies.socks.password, encodeURIComponent(proxies.socks.password), 's3same', 's3cret', 's3rvice'];
  for (const role of [control, worker, runner, bare]) {
    const texts = [role.log(), JSON.stringify(await role.read('/health')), (await role.request('GET', '/metrics')).text];
    for (const text of texts) for (const secret of secrets) assert.ok(!text.includes(secret), `${role.role} shows ${secret}`);
  }
});

test('a service is reached by TLS through a proxy, and a named database that can’t be read stops the start', async () => {
  const settings = {
    SSL_CERT_FILE: path.join(directory, 'ca.pem'),
    RUNNER_EXIT_IP_URL: `https://127.0.0.1:${fronts.site.port}/ip, https://${TLS_HOST}:${fronts.site.port}/ip`,
  };
  const secure = await Camofleet.start('runner', settings);
  try {
    // The certificate is for the second name.
    const { json, text } = await check(secure, { proxy: proxies.socks.url });
    assert.deepEqual([json.ok, json.exit_ip], [true, FROM.direct], text);
  } finally {
    await secure.stop();
  }
  const missing = path.join(directory, 'missing.mmdb');
  await assert.rejects(Camofleet.start('runner', { RUNNER_GEOIP_DB: missing }), /RUNNER_GEOIP_DB: \S+missing\.mmdb can't be read/);
});

test('the proxy of a profile is checked with its credentials, by the worker that has it', async () => {
  const { server: url, username, password } = proxies.socks;
  const named = await control.request('POST', '/profiles', { body: { name: 'anna', worker: 'west', proxy: { server: url, username, password } } });
  assert.equal(named.status, 201, named.text);
  assert.deepEqual(named.json.proxy, { server: url, pool: null }, 'no response has the credentials');
  await until(async () => (await control.read('/profiles')).length === 1, 'the profile to be listed');
  for (const [role, body] of [
    [runner, {}],
    [worker, {}],
    [control, {}],
    [control, { worker: 'west' }],
  ]) {
    const { json } = await check(role, { profile: 'anna', ...body });
    assert.deepEqual([json.ok, json.exit_ip, json.country], [true, FROM.dante, 'DE'], JSON.stringify(json));
  }
  assert.equal((await check(control, { proxy: named.json.proxy.server, worker: 'west' })).json.ok, false);
  assert.equal((await check(control, { profile: 'anna', proxy: 'us' })).json.exit_ip, FROM.tinyproxy, 'the proxy of the request comes first');
  for (const role of [runner, worker, control]) {
    const unknown = await check(role, { profile: 'nobody' });
    assert.deepEqual([unknown.status, unknown.json.code], [404, 'profile_not_found']);
  }
  const old = await check(control, { profile: 'anna', worker: 'old' });
  assert.equal(old.status, 502, old.text);
});

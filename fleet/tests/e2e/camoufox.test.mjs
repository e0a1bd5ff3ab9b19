/** Sessions of Camoufox, up to the start of its process: a stand-in records what it would have been given. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { temporaryDirectory } from './helpers/camofleet.mjs';
import { StandInCamoufox, joined } from './helpers/camoufox.mjs';
import { browsers, marked } from './helpers/processes.mjs';
import { Server, run, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

const UNAVAILABLE = 69;
const VIENNA = { locale: ['de-AT', 'de'], timezone: 'Europe/Vienna', geolocation: { latitude: 48.2, longitude: 16.4, accuracy: 40 } };

let directory, camoufox, server;
before(async () => {
  directory = temporaryDirectory();
  camoufox = new StandInCamoufox(directory);
  const settings = { ...camoufox.settings(), RUNNER_ADDONS: JSON.stringify({ counter: addon(path.join(directory, 'counter.xpi')) }) };
  server = await Server.start({ ...settings, CAMOU_CONFIG_1: '{"inherited":1}', CAMOU_PREFS_1: '{"inherited":1}' });
});
after(async () => {
  await server?.stop();
  fs.rmSync(directory, { recursive: true, force: true });
});

/** Writes an add-on, and returns its setting. */
function addon(file) {
  const write = 'import sys, zipfile; zipfile.ZipFile(sys.argv[1], "w").writestr("manifest.json", "{}")';
  execFileSync('python3', ['-c', write, file]);
  return { path: file, sha256: createHash('sha256').update(fs.readFileSync(file)).digest('hex') };
}

/** What a browser was given to be a machine. */
function machineOf(pid) {
  const { env, args, fonts, command } = camoufox.recorded(pid);
  const preferences = JSON.parse(joined(env, 'CAMOU_PREFS'));
  const set = Object.fromEntries(command.params.userPrefs.map(({ name, value }) => [name, value]));
  return { config: joined(env, 'CAMOU_CONFIG'), preferences, set, args, fonts, env };
}

/** A machine without what differs between two launches of it: their directories. */
function lasting({ config, preferences, fonts }) {
  return { config, preferences: { ...preferences, 'network.proxy.socks': null }, fonts };
}

test('a session is one machine through its crashes, and no two sessions are alike', async () => {
  const first = await server.createKnown({ headless: true, ...VIENNA });
  const second = await server.createKnown({ headless: true, ...VIENNA });
  assert.equal(first.session.browser, 'camoufox');
  const machine = machineOf(first.browser.pid);
  const config = JSON.parse(machine.config);
  assert.deepEqual([config.timezone, config['locale:all'], config['geolocation:latitude']], ['Europe/Vienna', 'de-AT, de', 48.2]);
  assert.notEqual(machineOf(second.browser.pid).config, machine.config);

  process.kill(first.browser.pid, 'SIGKILL');
  await server.sessionThat(first.session, ({ status, restarts }) => status === 'READY' && restarts === 1, 'READY again');
  const again = browsers(server.runBase).find(({ pid }) => ![first.browser.pid, second.browser.pid].includes(pid));
  assert.deepEqual(lasting(machineOf(again.pid)), lasting(machine));
  await Promise.all([first, second].map(({ session }) => server.end(session)));
});

test('a browser is given exactly what the library itself returns for the same seed', async () => {
  const request = { headless: true, os: 'windows', locale: ['fr-CA', 'fr'], humanize: 1.5, main_world_eval: true, seed: 'anna' };
  const expected = camoufox.library({ system: 'Windows', seed: 'anna', locale: request.locale, humanize: 1.5, addons: [] });
  const first = await server.createKnown(request);
  const { config, preferences, set, args, fonts, env } = machineOf(first.browser.pid);
  assert.equal(config, joined(expected.env, 'CAMOU_CONFIG'), 'to the byte');
  assert.equal(fonts, expected.fonts);
  assert.ok(expected.args.every((argument) => args.includes(argument)));
  const own = Object.entries(preferences).filter(([name]) => !(name in expected.firefox_user_prefs));
  for (const [name, value] of Object.entries(expected.firefox_user_prefs)) {
    assert.deepEqual([preferences[name], set[name]], [value, value], name);
  }
  assert.ok(own.every(([name]) => /^(network|media|browser|geo|toolkit|app|captivedetect|doh-rollout)\./.test(name)), own.join(' '));
  const names = (all) => Object.keys(all).filter((name) => /^(CAMOU|FONTCONFIG)/.test(name)).sort();
  assert.deepEqual(names(env), names(expected.env));

  const second = await server.createKnown(request);
  assert.equal(machineOf(second.browser.pid).config, config, 'the same seed is the same machine');
  const { identity } = await server.session(first.session);
  assert.deepEqual([identity.os, identity.seed, identity.humanize, identity.webgl], [['windows'], 'anna', 1.5, null]);
  await Promise.all([first, second].map(({ session }) => server.end(session)));
});

test('add-ons are those that the setting names, checked and unpacked', async () => {
  const { session, browser } = await server.createKnown({ headless: true, addons: ['counter'] });
  const { addons } = JSON.parse(machineOf(browser.pid).config);
  assert.equal(addons.length, 1);
  assert.equal(fs.readFileSync(path.join(addons[0], 'manifest.json'), 'utf8'), '{}');
  const { status, json } = await server.request('POST', '/sessions', { body: { headless: true, addons: ['ublock'] } });
  assert.deepEqual([status, json.detail], [422, "addons: there is no add-on 'ublock' here; RUNNER_ADDONS has counter"]);
  await server.end(session);

  const altered = { counter: { path: path.join(directory, 'counter.xpi'), sha256: '0'.repeat(64) } };
  const refused = await run(['serve'], { ...camoufox.settings(), RUNNER_ADDONS: JSON.stringify(altered) });
  assert.equal(refused.status, UNAVAILABLE, refused.stderr);
  assert.match(refused.stderr, /RUNNER_ADDONS: counter: .*counter\.xpi: its SHA-256 is [0-9a-f]{64}/);
});

test('what no machine can be is refused with its field and what can be', async () => {
  for (const [field, body, expected] of [
    ['webgl', { os: 'linux', webgl: { vendor: 'Apple', renderer: 'Apple M1, or similar' } }, /no Firefox on linux was seen with/],
    ['fonts', { os: 'linux', fonts: ['Segoe UI'] }, /'Segoe UI' is a font of windows, not of linux; .*"coherence": "warn"/],
    ['locale', { locale: 'qq-QQ' }, /language and region/],
    ['os', { os: 'beos' }, /windows, macos or linux/],
  ]) {
    const { status, json } = await server.request('POST', '/sessions', { body: { headless: true, ...body } });
    assert.equal(status, 422, json.detail);
    assert.ok(json.detail.startsWith(`${field}: `), json.detail);
    assert.match(json.detail, expected);
  }
});

test('fonts of another system are left out and shown where a request wants that', async () => {
  const body = { headless: true, os: 'linux', fonts: ['Segoe UI'], coherence: 'warn' };
  const { session, browser } = await server.createKnown(body);
  const [{ detail, ...contradiction }] = session.contradictions;
  assert.deepEqual(contradiction, { field: 'fonts', value: 'Segoe UI', against: 'os', fact: 'linux' });
  assert.match(detail, /^fonts: Segoe UI left out/);
  assert.ok(!JSON.parse(machineOf(browser.pid).config).fonts.includes('Segoe UI'));
  await server.end(session);
});

test('images and WebRTC are as requested', async () => {
  const seen = async (body) => {
    const { session, browser } = await server.createKnown({ headless: true, ...body });
    const { preferences } = machineOf(browser.pid);
    await server.end(session);
    return ['permissions.default.image', 'media.peerconnection.enabled', 'media.peerconnection.ice.proxy_only'].map((name) => preferences[name]);
  };
  assert.deepEqual((await seen({ block_images: true, webrtc: 'off' })).slice(0, 2), [2, false]);
  assert.deepEqual(await seen({ webrtc: 'proxy' }), [1, true, true]);
});

test('its preferences are there at its start, with those of the launch, and nothing is inherited', async () => {
  const { session, browser } = await server.createKnown({ headless: true });
  const { preferences, set, config, env } = machineOf(browser.pid);
  assert.match(preferences['network.proxy.socks'], /^file:.*egress\.sock$/);
  assert.equal(preferences['media.peerconnection.enabled'], false);
  for (const [name, value] of Object.entries(preferences)) assert.deepEqual(set[name], value, name);
  assert.ok(!`${config}${JSON.stringify(preferences)}`.includes('inherited'));
  assert.equal(env.TZ, process.env.TZ, 'the machine has its time zone from the configuration');
  await server.end(session);
});

test('a window has the screen of its display', async () => {
  const { session, browser } = await server.createKnown({ headless: false, screen: { width: 1366, height: 768 } });
  const config = JSON.parse(machineOf(browser.pid).config);
  assert.deepEqual([config['screen.width'], config['screen.height']], [1366, 768]);
  const { window } = camoufox.recorded(browser.pid);
  assert.deepEqual([window.width, window.height], [`${config['window.outerWidth']}`, `${config['window.outerHeight']}`]);
  await server.end(session);
});

test('the identity maker is restarted, and health shows it', async () => {
  assert.match((await server.checks()).identity, /^up, camoufox \d/);
  const makers = () => marked(server.runBase).filter(({ argv }) => argv.some((argument) => argument.endsWith('maker.py')));
  const [maker] = makers();
  process.kill(maker.pid, 'SIGKILL');
  await until(() => makers().some(({ pid }) => pid !== maker.pid), 'another identity maker');
  await server.end(await server.create({ headless: true }));
});

test('a build that Playwright can not drive is refused at the start, with what would do', async () => {
  camoufox.becomes('135.0.1', 'beta.24');
  const { status, stderr } = await run(['serve'], camoufox.settings());
  assert.equal(status, UNAVAILABLE, stderr);
  assert.match(stderr, /camoufox 135\.0\.1-beta\.24 .* is too old for Playwright .*beta\.30 or newer.*Playwright older than 1\.61/);
  camoufox.becomes('156.0.1', 'beta.36');
});

test('without its library a start is refused with the remedy', async () => {
  const { status, stderr } = await run(['serve'], { ...camoufox.settings(), RUNNER_IDENTITY_PYTHON: '/nowhere/python' });
  assert.equal(status, UNAVAILABLE, stderr);
  assert.match(stderr, /\/nowhere\/python does not exist.*camofleet setup camoufox/);
});

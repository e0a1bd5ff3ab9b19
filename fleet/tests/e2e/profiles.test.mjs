/** Profiles: the same person again, in one session at a time, whatever ends a session. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { NOTHING, memoryOf, openMemorySite, recall, remember, untilStored } from './helpers/memorySite.mjs';
import { attach } from './helpers/playwright.mjs';
import { drivers } from './helpers/processes.mjs';
import { Server, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

const VIENNA = { locale: 'de-AT', timezone: 'Europe/Vienna', screen: { width: 1366, height: 768 } };


let site, server, other;
before(async () => {
  [site, server, other] = await Promise.all([openMemorySite(), Server.start(), Server.start()]);
});
after(async () => {
  await Promise.all([server?.stop(), other?.stop()]);
  await site?.close();
});

/** Makes a request and expects this status. */
async function call(method, route, status, options, at = server) {
  const answer = await at.request(method, route, options);
  assert.equal(answer.status, status, answer.text);
  return answer;
}

/** Creates a headless session with a profile, and attaches a client. */
async function open(profile, more = {}, at = server) {
  const session = await at.create({ headless: true, profile, ...more });
  const client = await attach(at, session);
  return { session, client, context: client.contexts()[0] };
}

/** Disconnects a client and ends its session. */
async function close({ session, client }, at = server) {
  await client.close();
  await at.end(session);
}

const profile = (name, at = server) => at.read(`/profiles/${name}`);
const refusal = ({ json }) => [json.code, json.detail];

test('a profile is the same person in its next session, after a crash, and after a restart of camofleet', async () => {
  // With a window, as by default: its display has to stay until everything is stored.
  const first = await open('anna', { ...VIENNA, headless: false, start_url: site.url });
  assert.deepEqual([first.session.profile, first.session.profile_mode], ['anna', 'write']);
  await until(() => first.context.pages()[0]?.url() === site.url, 'the start URL in the context of the profile');
  assert.deepEqual(await recall(first.context, site), NOTHING);
  await remember(first.context, site, 'one');
  const used = await profile('anna');
  assert.deepEqual([used.used_by.session, used.used_by.worker], [first.session.id, first.session.worker]);
  await close(first);

  const ended = await profile('anna');
  assert.deepEqual([ended.used_by, ended.recovered, ended.browser], [null, false, 'firefox']);
  assert.ok(ended.size_bytes > 100_000 && ended.last_used_at && ended.browser_version, JSON.stringify(ended));

  const second = await open('anna', { vnc: true });
  assert.deepEqual(second.session.identity, first.session.identity, 'the identity is that of the profile');
  assert.deepEqual(await recall(second.context, site), memoryOf('one'));
  const page = second.context.pages()[0];
  const shown = await page.evaluate(() => [Intl.DateTimeFormat().resolvedOptions().timeZone, navigator.language, screen.width]);
  assert.deepEqual(shown, ['Europe/Vienna', 'de-AT', 1366]);

  await remember(second.context, site, 'two');
  await untilStored(second.context);
  // With the driver its browsers end, too.
  process.kill(drivers(server.runBase)[0].pid, 'SIGKILL');
  await server.sessionThat(second.session, ({ restarts, status }) => restarts === 1 && status === 'READY', 'restarted');
  assert.equal((await profile('anna')).recovered, true);
  const afterDriver = (await attach(server, second.session)).contexts()[0];
  assert.deepEqual(await recall(afterDriver, site), memoryOf('two'));

  await remember(afterDriver, site, 'three');
  await untilStored(afterDriver);
  server.kill('SIGKILL');
  await server.awaitEnd();
  server = await server.again();
  const third = await open('anna');
  assert.deepEqual(await recall(third.context, site), memoryOf('three'));
  const taken = server.logLines().find((line) => line.includes('is taken over'));
  assert.match(taken ?? server.log(), new RegExp(`profile anna is taken over from session ${second.session.id}`));
  await close(third);
  assert.equal((await profile('anna')).recovered, false);
});

test('one session writes a profile; any number start from copies, and keep nothing', async () => {
  const writer = await open('maria');
  await remember(writer.context, site, 'kept');
  for (const mode of ['write', 'copy']) {
    const refused = await call('POST', '/sessions', 409, { body: { headless: true, profile: 'maria', profile_mode: mode } });
    assert.equal(refused.json.code, 'profile_in_use');
    assert.match(refused.json.detail, new RegExp(`in use by session ${writer.session.id} on '`));
  }
  for (const [method, route, body] of [
    ['DELETE', '/profiles/maria'],
    ['GET', '/profiles/maria/archive'],
    ['POST', '/profiles/maria/clone', { name: 'clone' }],
  ]) {
    assert.equal((await call(method, route, 409, { body })).json.code, 'profile_in_use', `${method} ${route}`);
  }
  await close(writer);

  const [one, two] = await Promise.all([open('maria', { profile_mode: 'copy' }), open('maria', { profile_mode: 'copy' })]);
  for (const copy of [one, two]) assert.deepEqual(await recall(copy.context, site), memoryOf('kept'));
  await remember(one.context, site, 'forgotten');
  const third = await open('maria');
  assert.deepEqual(await recall(third.context, site), memoryOf('kept'));
  await Promise.all([close(one), close(two), close(third)]);
  assert.deepEqual(fs.readdirSync(server.runBase).filter((name) => name.startsWith('profile-')), []);

  assert.deepEqual(refusal(await call('POST', '/sessions', 404, { body: { profile: 'nobody', profile_mode: 'copy' } }))[0], 'profile_not_found');
  assert.equal((await call('POST', '/sessions', 404, { body: { profile: 'nobody', profile_create: false } })).json.code, 'profile_not_found');
  const otherIdentity = await call('POST', '/sessions', 422, { body: { profile: 'maria', timezone: 'Asia/Tokyo' } });
  assert.match(otherIdentity.json.detail, /^timezone: profile 'maria' has another one/);
});

test('a client that closes the context of a profile finds a blank page, and the profile is still whole', async () => {
  const one = await open('closing');
  const two = await attach(server, one.session);
  await remember(one.context, site, 'kept');
  await one.context.close();
  assert.ok(two.isConnected());
  const [again] = one.client.contexts();
  assert.deepEqual(again.pages().map((page) => page.url()), ['about:blank']);
  assert.deepEqual(await recall(again, site), memoryOf('kept'));
  const beside = await one.client.newContext();
  assert.deepEqual(await recall(beside, site), NOTHING, 'a context of its own is somebody else');
  await two.close();
  await close(one);
});

test('a session without a profile has the same shape, and no past', async () => {
  const one = await open(undefined);
  assert.equal(one.session.profile, null);
  await remember(one.context, site, 'short');
  await one.context.close();
  assert.deepEqual(await recall(one.client.contexts().at(-1), site), NOTHING);
  await close(one);
});

test('profiles are made, listed, changed, cloned and deleted', async () => {
  const made = await call('POST', '/profiles', 201, {
    body: { name: 'paul', labels: { team: 'a' }, notes: 'n', proxy: 'socks5://u:secret@127.0.0.1:9', ...VIENNA },
  });
  assert.ok(!made.text.includes('secret'));
  const { identity, proxy, used_by: usedBy, last_used_at: lastUsed } = made.json;
  assert.deepEqual([identity.timezone, proxy.server, usedBy, lastUsed], ['Europe/Vienna', 'socks5://127.0.0.1:9', null, null]);
  assert.equal((await call('POST', '/profiles', 409, { body: { name: 'paul' } })).json.code, 'profile_exists');
  const changed = await call('PATCH', '/profiles/paul', 200, { body: { proxy: null, notes: 'm' } });
  assert.deepEqual([changed.json.proxy, changed.json.notes, changed.json.labels], [null, 'm', { team: 'a' }]);

  const session = await open('paul');
  await remember(session.context, site, 'paul');
  await close(session);
  await call('POST', '/profiles/paul/clone', 201, { body: { name: 'paul-2' } });
  const fresh = await call('POST', '/profiles/paul/clone', 201, { body: { name: 'paul-3', identity: 'new' } });
  assert.deepEqual([fresh.json.identity, fresh.json.labels, fresh.json.size_bytes], [identity, { team: 'a' }, 0]);
  const copy = await open('paul-2');
  assert.deepEqual(await recall(copy.context, site), memoryOf('paul'));
  await close(copy);

  const names = (await server.read('/profiles')).map(({ name }) => name);
  assert.deepEqual(names.filter((name) => name.startsWith('paul')), ['paul', 'paul-2', 'paul-3']);
  for (const name of ['paul', 'paul-2', 'paul-3']) await call('DELETE', `/profiles/${name}`, 204);
  assert.equal((await call('GET', '/profiles/paul', 404)).json.code, 'profile_not_found');
  assert.deepEqual(fs.readdirSync(path.join(server.directory, 'profiles')).filter((name) => /paul|camofleet/.test(name)), []);
});

test('an exported profile is the same person on another machine', async () => {
  const here = await open('mover', VIENNA);
  await remember(here.context, site, 'moved');
  await close(here);
  const archive = await call('GET', '/profiles/mover/archive', 200);
  assert.deepEqual([archive.headers['content-type'], archive.headers['content-disposition']], ['application/zstd', 'attachment; filename="mover.tar.zst"']);
  const send = (body, status) =>
    call('POST', '/profiles/import?name=moved', status, { body, headers: { 'content-type': 'application/zstd' } }, other);
  const half = await send(archive.bytes.subarray(0, archive.bytes.length / 2), 422);
  assert.deepEqual(refusal(half), ['invalid_archive', 'the body is not an archive of a profile: incomplete frame']);
  const imported = await send(archive.bytes, 201);
  const original = await profile('mover');
  assert.deepEqual({ ...imported.json, name: 'mover' }, original);
  const there = await open('moved', {}, other);
  assert.deepEqual(there.session.identity, here.session.identity);
  assert.deepEqual(await recall(there.context, site), memoryOf('moved'));
  await close(there, other);
  assert.equal((await send(archive.bytes, 409)).json.code, 'profile_exists');
});

test('cookies are read and replaced, with and without a session', async () => {
  const cookie = { name: 'sid', value: 'x', domain: '.a.example', path: '/', expires: 4_000_000_000, httpOnly: true, secure: true, sameSite: 'None' };
  await call('POST', '/profiles', 201, { body: { name: 'jar' } });
  const read = async () => (await call('GET', '/profiles/jar/cookies', 200)).json.map(({ name }) => name);
  assert.deepEqual(await read(), []);
  await call('PUT', '/profiles/jar/cookies', 204, { body: [cookie] });
  const session = await open('jar');
  assert.deepEqual((await session.context.cookies()).map(({ name, value }) => [name, value]), [['sid', 'x']]);
  const text = '# Netscape HTTP Cookie File\nb.example\tFALSE\t/\tFALSE\t4000000000\tplain\tv\n';
  await call('PUT', '/profiles/jar/cookies', 204, { body: text, headers: { 'content-type': 'text/plain' } });
  assert.deepEqual((await session.context.cookies()).map(({ name }) => name), ['plain']);
  const netscape = await call('GET', '/profiles/jar/cookies', 200, { headers: { accept: 'text/plain' } });
  assert.match(netscape.text, /^# Netscape HTTP Cookie File\nb\.example\tFALSE\t\/\tFALSE\t\d+\tplain\tv\n$/);
  const dropped = await call('PUT', '/profiles/jar/cookies', 422, { body: [cookie, { ...cookie, name: 'wide', domain: '.com' }] });
  assert.match(dropped.json.detail, /no site could set wide of \.com; leave out what is named/);
  await close(session);
  assert.deepEqual(await read(), ['plain'], 'as they were');
  const wrong = await call('PUT', '/profiles/jar/cookies', 422, { body: [{ name: 'n', value: 'v' }] });
  assert.match(wrong.json.detail, /^cookies\[1\]: missing field `domain`/);
  assert.deepEqual(await server.sessions(), []);
});

test('only a session with a profile lives as long as its owner wants', async () => {
  const long = await open('long', { idle_ttl_seconds: 2_592_000 });
  assert.equal(long.session.idle_ttl_seconds, 2_592_000);
  const never = await open('never', { idle_ttl_seconds: 0 });
  assert.equal(never.session.idle_ttl_seconds, 0);
  await Promise.all([close(long), close(never)]);
  for (const ttl of [0, 3601]) {
    const refused = await call('POST', '/sessions', 422, { body: { headless: true, idle_ttl_seconds: ttl } });
    assert.match(refused.json.detail, /^idle_ttl_seconds: must be a whole number from 30 to 3600 for a session without a profile/);
  }
});

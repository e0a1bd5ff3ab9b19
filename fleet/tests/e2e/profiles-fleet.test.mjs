/** Profiles of several workers: each its own, and the same ones on shared storage. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { Camofleet, pathOf, temporaryDirectory, test } from './helpers/camofleet.mjs';
import { DETECTION_MS, startControl } from './helpers/roles.mjs';
import { until } from './helpers/wait.mjs';

let shared, east, west, control;
before(async () => {
  [east, west] = await Promise.all([Camofleet.start('runner'), Camofleet.start('runner')]);
  control = await startControl([{ name: 'east', url: east.url }, { name: 'west', url: west.url }]);
  shared = temporaryDirectory();
});
after(async () => {
  await control?.stop();
  await Promise.all([east?.stop(), west?.stop()]);
  fs.rmSync(shared, { recursive: true, force: true });
});

/** Makes a request and expects this status. */
async function call(at, method, route, status, options) {
  const answer = await at.request(method, route, options);
  assert.equal(answer.status, status, answer.text);
  return answer;
}

const create = (profile, status = 201, more = {}) => call(control, 'POST', '/sessions', status, { body: { headless: true, profile, ...more } });

test('control sends a session to the worker that has its profile, and knows them all', async () => {
  const attempt = () => control.request('POST', '/sessions', { body: { headless: true, profile: 'anna' } });
  const [one, same] = (await Promise.all([attempt(), attempt()])).sort((a, b) => a.status - b.status);
  assert.deepEqual([one.status, same.json.code], [201, 'profile_in_use'], 'a second request makes no second profile');
  const home = one.json.worker;
  await control.end(one.json);
  for (let round = 0; round < 2; round += 1) {
    const session = (await create('anna')).json;
    assert.equal(session.worker, home);
    await control.end(session);
  }
  const other = home === 'east' ? 'west' : 'east';
  const elsewhere = await create('anna', 409, { worker: other });
  assert.match(elsewhere.json.detail, new RegExp(`is on worker '${home}'; name that one, or none`));

  await call(control, 'POST', '/profiles', 201, { body: { name: 'maria', worker: other } });
  await until(async () => (await control.read('/profiles')).length === 2, 'control to list both');
  const listed = await control.read('/profiles');
  assert.deepEqual(listed.map(({ name, worker, stale }) => [name, worker, stale]), [['anna', home, false], ['maria', other, false]]);
  const archive = await call(control, 'GET', '/profiles/anna/archive', 200);
  const headers = { 'content-type': 'application/zstd' };
  assert.equal((await call(control, 'POST', '/profiles/import?name=maria', 409, { body: archive.bytes, headers })).json.code, 'profile_exists');
  const copy = await call(control, 'POST', `/profiles/import?name=anna&worker=${other}`, 201, { body: archive.bytes, headers });
  assert.equal(copy.json.worker, other);
  assert.equal((await call(control, 'GET', '/profiles/anna', 409)).json.code, 'profile_ambiguous');
  assert.equal((await create('anna', 409)).json.code, 'profile_ambiguous');
  await call(control, 'PATCH', `/profiles/anna?worker=${other}`, 200, { body: { notes: 'second' } });
  assert.equal((await call(control, 'GET', `/profiles/anna?worker=${other}`, 200)).json.notes, 'second');
  assert.deepEqual((await call(control, 'GET', '/profiles/maria/cookies', 200)).json, []);
  await call(control, 'DELETE', `/profiles/anna?worker=${other}`, 204);
  await call(control, 'GET', '/profiles/anna', 200);
  await call(control, 'POST', '/profiles/maria/clone', 201, { body: { name: 'maria-2' } });
  assert.equal((await create('nobody', 404, { profile_create: false })).json.code, 'profile_not_found');
});

test('a profile of a worker that does not answer is away, and is not made again elsewhere', async () => {
  await call(control, 'POST', '/profiles', 201, { body: { name: 'away', worker: 'west' } });
  west.kill('SIGKILL');
  await west.awaitEnd();
  const gone = async () => (await control.request('POST', '/sessions', { body: { headless: true, profile: 'away' } })).json;
  await until(async () => (await gone()).code === 'profile_away', 'control to notice', DETECTION_MS);
  assert.match((await gone()).detail, /profile 'away' is on worker 'west', which does not answer/);
  const shown = (await control.read('/profiles')).find(({ name }) => name === 'away');
  assert.deepEqual([shown.worker, shown.stale], ['west', true]);
  west = await west.again();
  const back = await until(async () => {
    const answer = await control.request('POST', '/sessions', { body: { headless: true, profile: 'away' } });
    return answer.status === 201 && answer.json;
  }, 'the worker to be back', 15_000);
  await control.end(back);
});

test('on shared storage every worker has every profile, and a lease that nobody renews is taken over', async () => {
  const settings = { RUNNER_PROFILES_DIR: path.join(shared, 'profiles'), RUNNER_PROFILES_SHARED: 'true' };
  const [one, two] = await Promise.all([Camofleet.start('runner', settings), Camofleet.start('runner', settings)]);
  try {
    const body = { headless: true, profile: 'both' };
    const first = (await call(one, 'POST', '/sessions', 201, { body })).json;
    const refused = await call(two, 'POST', '/sessions', 409, { body });
    assert.match(refused.json.detail, new RegExp(`in use by session ${first.id} on '`));
    await call(one, 'DELETE', pathOf({ id: first.id }), 200);
    const second = (await call(two, 'POST', '/sessions', 201, { body })).json;
    two.kill('SIGKILL');
    await two.awaitEnd();
    // As on storage without locks, where only the age of the lease says whether its holder lives.
    assert.equal((await call(one, 'POST', '/sessions', 409, { body })).json.code, 'profile_in_use');
    const lease = path.join(shared, 'profiles', 'both', 'lease.json');
    const old = Date.now() / 1000 - 31;
    fs.utimesSync(lease, old, old);
    const third = (await call(one, 'POST', '/sessions', 201, { body })).json;
    assert.ok(one.logLines().some((line) => line.includes(`profile both is taken over from session ${second.id}`)), one.log());
    await call(one, 'DELETE', pathOf({ id: third.id }), 200);
  } finally {
    two.discard();
    await one.stop();
  }
});

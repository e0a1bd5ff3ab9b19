/** compose.yaml without a profile: a whole fleet in one container. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { request } from '../e2e/helpers/http.mjs';
import { until } from '../e2e/helpers/wait.mjs';
import { Stack, test as stackTest } from './helpers/stack.mjs';
import { attachAndRead, colouredUrl, showsColour, store, stored } from './helpers/use.mjs';

const ORANGE = [230, 120, 20];
/** How long `docker stop` waits before it kills. */
const STOPPING_S = 10;
/** The same for a container with a profile in use; compose.yaml has this time too. */
const STORING_S = 30;
let stack, container;
const test = (name, body) => stackTest(() => stack, name, body);

before(async () => {
  stack = await Stack.up({ services: ['fleet'] });
  container = await stack.container('fleet');
  console.log(`time to a healthy fleet (one container): ${stack.startSeconds.toFixed(1)} s`);
});

after(() => stack?.down());

test('its healthcheck passes, and it serves the panel', async () => {
  await until(() => container.passesHealthcheck(), 'the healthcheck to pass');
  const panel = await request('GET', `${stack.url}/`);
  assert.equal(panel.status, 200);
  assert.match(panel.text, /<title>/);
});

test('published on loopback only, it refuses other host names and does not report open access', async () => {
  for (const host of ['evil.example', 'evil.example:9000']) {
    const refused = await request('GET', `${stack.url}/sessions`, { headers: { host } });
    assert.deepEqual([refused.status, refused.json?.code], [421, 'unknown_host'], refused.text);
  }
  for (const host of ['localhost', 'fleet:9000']) {
    assert.equal((await request('GET', `${stack.url}/sessions`, { headers: { host } })).status, 200, host);
  }
  assert.notEqual((await request('GET', `${stack.url}/health`)).json.insecure, true);
});

test('a Playwright client attaches to a session', async () => {
  const session = await stack.create({ headless: true });
  await attachAndRead(stack, session);
  await stack.end(session);
});

test('a live view shows the page of a session', async () => {
  const session = await stack.create({ vnc: true, start_url: colouredUrl(ORANGE) });
  await showsColour(stack.wsUrl + session.vnc.ws, ORANGE);
  assert.equal((await request('GET', stack.url + session.vnc.http)).status, 200);
  await stack.end(session);
});

test('no process runs as root, and no file of the image is writable', async () => {
  const session = await stack.create({ vnc: true });
  const processes = await container.processes();
  assert.ok(processes.some(({ name }) => /firefox|camoufox/.test(name)), 'there is a browser');
  assert.deepEqual(processes.filter(({ uid }) => uid !== 10001), []);
  await assert.rejects(container.shell('touch /usr/local/bin/x', { user: '0' }), /Read-only file system/);
  await stack.end(session);
});

test('a killed browser is restarted, and leaves no zombie', async () => {
  const session = await stack.create({ vnc: true });
  await container.shell('kill -9 $(cat /proc/[0-9]*/status | awk \'/^Name:/ { name = $2 } /^Pid:/ { if (name ~ /firefox|camoufox/) print $2 }\')');
  await until(async () => {
    const now = await stack.session(session);
    return now?.restarts === 1 && now.status === 'READY';
  }, 'the session to be restarted', 60_000);
  await attachAndRead(stack, session);
  await stack.end(session);
  await stack.healthy();
  await until(async () => (await container.processes()).every(({ state }) => state !== 'Z'), 'all zombies to be reaped');
});

test('a profile is private, survives its container, and has all that was stored when that was stopped', async () => {
  const first = await stack.create({ headless: true, profile: 'anna', locale: 'de-AT' });
  await store(stack, first, 'one');
  assert.equal(await container.shell('stat -c "%u %a" $RUNNER_PROFILES_DIR $RUNNER_PROFILES_DIR/anna'), '10001 700\n10001 700');
  // With its session, at once, before Firefox has written anything by itself.
  const started = performance.now();
  await container.stop(STORING_S);
  console.log(`stopped with a profile in use in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  assert.equal(await container.inspect('{{.State.ExitCode}}'), '0');
  await container.remove();

  await stack.scale({}, ['fleet']);
  await stack.healthy();
  const next = await stack.container('fleet');
  assert.notEqual(next.id, container.id);
  container = next;
  const { recovered, used_by: user, size_bytes: size } = await stack.ask('GET', '/profiles/anna');
  assert.deepEqual([recovered, user], [false, null]);
  console.log(`the profile takes ${(size / 1e6).toFixed(1)} MB`);
  const second = await stack.create({ headless: true, profile: 'anna' });
  assert.deepEqual(second.identity, first.identity);
  assert.deepEqual(await stored(stack, second), ['stored=one', 'one']);
  await stack.end(second);
});

test('it stops in time with live sessions, with exit status 0', async () => {
  await stack.create({ vnc: true });
  await stack.create({ headless: true });
  const started = performance.now();
  await container.stop(STOPPING_S);
  const seconds = (performance.now() - started) / 1000;
  console.log(`stopped with two sessions in ${seconds.toFixed(1)} s`);
  assert.equal(await container.inspect('{{.State.ExitCode}}'), '0');
  assert.ok(seconds < STOPPING_S, `it took ${seconds} s`);
});

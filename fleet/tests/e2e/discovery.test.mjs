/** Workers that two controls find by DNS: their names, placement, live views, and removal. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { Camofleet, pathOf, run, test } from './helpers/camofleet.mjs';
import { showsColour, startChromium } from './helpers/chromium.mjs';
import { keyless } from './helpers/liveViews.mjs';
import { NameServer } from './helpers/nameServer.mjs';
import { attach, blankPage } from './helpers/playwright.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { Ranges } from './helpers/ranges.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until } from './helpers/wait.mjs';

const ORANGE = [230, 120, 20];

let names, alpha, beta, control, other, site;

/** A whole host on its own address, which its VNC servers use too. */
async function startHost(address) {
  const ranges = await Ranges.claim();
  return Camofleet.start('worker', { WORKER_HOST: address, WORKER_SUPPORTS_VNC: '1', RUNNER_VNC_BIND: address }, { ranges });
}

function startControl(discovery, settings = {}) {
  return Camofleet.start('control', { CONTROL_DISCOVERY: discovery, CONTROL_DISCOVERY_INTERVAL_SECONDS: '0.2', ...settings });
}

/** Which of the two workers exist. */
function register(...hosts) {
  const all = { alpha, beta };
  names.setServices('workers.test', hosts.map((name) => ({ target: `${name}.workers.test`, port: Number(new URL(all[name].url).port) })));
}

function workersAre(camofleet, expected) {
  return until(
    async () => {
      const workers = await camofleet.read('/workers');
      return workers.every(({ healthy }) => healthy) && workers.map(({ name }) => name).join() === expected.join() && workers;
    },
    `the workers to be ${expected.join(' and ')}`,
  );
}

before(async () => {
  names = await NameServer.start();
  site = await Site.open({ '/orange': colouredPage(ORANGE) });
  alpha = await startHost('127.0.0.2');
  beta = await startHost('127.0.0.3');
  names.setAddresses('alpha.workers.test', ['127.0.0.2']);
  names.setAddresses('beta.workers.test', ['127.0.0.3']);
  register('beta', 'alpha');
  const { ids, ports } = alpha.ranges;
  const place = { url: `dns://workers.test?nameserver=${names.address}`, supports_vnc: true };
  const views = { VNC_WEB_RANGE: `${ids.first}-${ids.last}`, VNC_BASE_PORT: String(ports.first) };
  [control, other] = await Promise.all([0, 1].map(() => startControl(JSON.stringify([place]), views)));
});

after(async () => {
  for (const camofleet of [control, other, alpha, beta]) await camofleet?.stop();
  await site?.close();
  names?.close();
});

test('a worker is named after its host, and sessions are placed round robin', async () => {
  const workers = await workersAre(control, ['alpha', 'beta']);
  const { port } = new URL(alpha.url);
  assert.deepEqual([workers[0].url, workers[0].supports_vnc], [`http://127.0.0.2:${port}`, true]);
  const sessions = [await control.create({ headless: true }), await control.create({ headless: true })];
  assert.deepEqual(sessions.map(({ worker }) => worker).toSorted(), ['alpha', 'beta']);
  for (const session of sessions) await control.end(session);
});

test('a worker without a name is named after its address, and the default of CONTROL_WORKERS is empty', async () => {
  const { hostname, port } = new URL(beta.url);
  names.setAddresses('plain.test', [hostname]);
  const plain = await startControl(`dns://plain.test:${port}?nameserver=${names.address}`);
  try {
    const [{ supports_vnc: vnc }] = await workersAre(plain, ['127-0-0-3']);
    assert.equal(vnc, false);
  } finally {
    await plain.stop();
  }
});

test('a session created by one control is served by the other at once', async () => {
  await workersAre(other, ['alpha', 'beta']);
  const session = await control.create({ headless: true });
  const browser = await attach(other, session);
  const page = await blankPage(browser);
  await page.goto(`${site.url}/orange`);
  assert.equal(await page.title(), 'colour');
  await browser.close();
  assert.equal((await other.session(session)).id, session.id);
  await other.end(session);
});

test('either control shows a live view under its worker’s name', async () => {
  const session = await control.create({ worker: 'alpha', vnc: true, start_url: `${site.url}/orange` });
  const view = `alpha:${session.vnc_id}`;
  assert.deepEqual(keyless(session.vnc), { ws: `/websockify?token=${view}`, http: `/vnc/${view}`, password_protected: false });
  const viewer = await Viewer.connect(`${other.wsUrl}${session.vnc.ws}`);
  await viewer.shows(ORANGE);
  viewer.close();
  const chromium = await startChromium();
  try {
    const page = await chromium.newPage();
    await page.goto(`${control.url}${session.vnc.http}`);
    await showsColour(page.locator('[data-testid="live-screen"][data-state="connected"] canvas'), ORANGE);
  } finally {
    await chromium.close();
  }
  const nobody = await control.request('GET', '/sessions/alpha/00000000-0000-4000-8000-000000000000');
  assert.equal(nobody.status, 404);
  await control.end(session);
});

test('a drained worker keeps its sessions and gets no more, whichever control is used', async () => {
  const kept = await control.create({ headless: true, worker: 'alpha' });
  const drained = await control.request('POST', '/workers/alpha/drain');
  assert.deepEqual([drained.status, drained.json.draining, drained.json.sessions], [200, true, 1], drained.text);
  await until(async () => (await other.read('/workers'))[0].draining, 'the other control to see it');
  for (const camofleet of [control, other]) {
    const session = await camofleet.create({ headless: true });
    assert.equal(session.worker, 'beta');
    await camofleet.end(session);
  }
  const named = await other.request('POST', '/sessions', { body: { worker: 'alpha' } });
  assert.deepEqual([named.status, named.json.code], [503, 'draining']);
  const client = await attach(control, kept);
  await client.close();

  await control.end(kept);
  assert.deepEqual((await run(['drain', '--url', alpha.url])).status, 0);
  const back = await control.request('DELETE', '/workers/alpha/drain');
  assert.deepEqual([back.status, back.json.draining], [200, false]);
  const session = await control.create({ headless: true, worker: 'alpha' });
  await control.end(session);
});

test('the status of a health check tells whether all is well', async () => {
  await until(async () => (await control.read('/health')).status === 'ok', 'the fleet to be well');
  assert.deepEqual(await run(['health', '--url', control.url]), { status: 0, stdout: '', stderr: '' });
  assert.equal((await run(['health', '--url', alpha.url])).status, 0);
  const nobody = await run(['health', '--url', 'http://127.0.0.1:1']);
  assert.equal(nobody.status, 1);
  assert.match(nobody.stderr, /^camofleet: http:\/\/127\.0\.0\.1:1\/health does not answer: .*\n$/);
  const discovery = `dns://nobody.test?nameserver=${names.address}`;
  const lonely = await Camofleet.start('control', { CONTROL_DISCOVERY: discovery }, { healthy: false });
  try {
    const { status, stderr } = await run(['health', '--url', lonely.url]);
    assert.deepEqual([status, stderr], [1, `camofleet: ${lonely.url}/ is degraded: it has no worker\n`]);
    assert.equal((await run(['health', '--url', lonely.url, '--alive'])).status, 0);
  } finally {
    await lonely.stop();
  }
});

test('demand and capacity are metrics of every control', async () => {
  const session = await control.create({ headless: true });
  const demand = async (camofleet) => (await camofleet.metrics()).value('camofleet_fleet_demand', { vnc: 'true' });
  for (const camofleet of [control, other]) await until(async () => (await demand(camofleet)) === 1, 'the session to be demand');
  assert.equal((await other.metrics()).value('camofleet_fleet_capacity', { vnc: 'true' }), 200);
  await control.end(session);
});

test('a worker whose record is gone finishes its sessions, and is removed from the metrics too', async () => {
  const session = await control.create({ headless: true, worker: 'alpha' });
  register('beta');
  await until(async () => {
    const refused = await control.request('POST', '/sessions', { body: { worker: 'alpha', headless: true } });
    if (refused.status === 201) await control.end(refused.json);
    return refused.status === 503;
  }, 'alpha to get no more sessions');
  const client = await attach(control, session);
  await client.close();
  assert.equal((await control.session(session)).status, 'READY');
  await control.end(session);
  for (const camofleet of [control, other]) await workersAre(camofleet, ['beta']);
  assert.equal((await control.request('GET', pathOf(session))).json.code, 'worker_not_found');
  await until(async () => !(await control.request('GET', '/metrics')).text.includes('"alpha"'), 'its figures to be gone');
  register('alpha', 'beta');
  for (const camofleet of [control, other]) await workersAre(camofleet, ['alpha', 'beta']);
});

/** The roles as processes: a session's whole life through control, worker, runner and gateway. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { firefox } from 'playwright-core';
import { PNG } from 'pngjs';
import { pathOf, test } from './helpers/camofleet.mjs';
import { showsColour, startChromium } from './helpers/chromium.mjs';
import { openSocket } from './helpers/http.mjs';
import { keyless, keyOf } from './helpers/liveViews.mjs';
import { CLIENT_HEADERS, attach, blankPage } from './helpers/playwright.mjs';
import { browsers, isAlive, xServers } from './helpers/processes.mjs';
import { Viewer, isColour } from './helpers/rfb.mjs';
import { Fleet } from './helpers/roles.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until, within } from './helpers/wait.mjs';

const GREEN = [20, 160, 70];
const NOBODY = '00000000-0000-4000-8000-000000000000';
const HEADERS = CLIENT_HEADERS;

let fleet, control, site;

before(async () => {
  site = await Site.open({ '/green': colouredPage(GREEN) });
  fleet = await Fleet.start();
  control = fleet.control;
});

after(async () => {
  await fleet?.stop();
  await site?.close();
});

test('sessions are placed on the workers in turn, and each is a session of its runner', async () => {
  const sessions = [];
  for (let count = 0; count < 3; count += 1) sessions.push(await control.create({ headless: true, labels: { count: String(count) } }));
  const [first, second, third] = sessions.map(({ worker }) => worker);
  assert.deepEqual([new Set([first, second]), third], [new Set(['east', 'west']), first]);
  assert.deepEqual(new Set((await control.sessions()).map(({ id }) => id)), new Set(sessions.map(({ id }) => id)));
  for (const session of sessions) {
    const onRunner = await fleet.runnerOf(session).session({ id: session.id });
    assert.deepEqual([onRunner.status, onRunner.labels], ['READY', session.labels]);
    await control.end(session);
  }
});

test('the facts of a runner are reported by its worker and by control, with the worker’s defaults', async () => {
  const { facts: runner } = await fleet.runnerEast.read('/health');
  const { facts: worker } = await fleet.workerEast.read('/health');
  const { url, last_contact: contact, detail } = await fleet.status('east');
  assert.deepEqual([worker, detail.facts], [runner, runner]);
  assert.deepEqual([runner.engine.name, runner.capacity, runner.defaults.idle_ttl_seconds], ['firefox', 100, 300]);
  assert.deepEqual([url, Date.now() - Date.parse(contact) < 5000], [fleet.workerEast.url, true]);
});

test('a Playwright client attaches through all hops, and the next one finds its page', async () => {
  const session = await control.create({ headless: true, worker: 'east' });
  const first = await attach(control, session);
  const page = await blankPage(first);
  await page.goto(`${site.url}/green`);
  const { width, height, data } = PNG.sync.read(await page.screenshot());
  const middle = ((height >> 1) * width + (width >> 1)) * 4;
  assert.ok(isColour([...data.subarray(middle, middle + 3)], GREEN));
  await control.sessionThat(session, ({ attached }) => attached === 1, 'with one client', 3000);
  await first.close();
  const view = await control.sessionThat(session, ({ attached }) => attached === 0, 'without clients', 3000);
  assert.ok(Date.parse(view.last_seen_at) > Date.parse(session.last_seen_at), 'actions of a client are activity');

  const second = await attach(control, session);
  const pages = second.contexts().flatMap((context) => context.pages());
  assert.deepEqual(await Promise.all(pages.map((open) => open.title())), ['colour']);
  await second.close();
  await control.end(session);
});

test('a touch at control restarts the idle clock of the runner', async () => {
  const session = await control.create({ headless: true, worker: 'west', idle_ttl_seconds: 31 });
  const touched = await control.request('POST', `${pathOf(session)}/touch`);
  assert.equal(touched.status, 200, touched.text);
  assert.ok(Date.parse(touched.json.last_seen_at) > Date.parse(session.last_seen_at));
  const onRunner = await fleet.runnerWest.session({ id: session.id });
  assert.deepEqual([onRunner.last_seen_at, onRunner.idle_ttl_seconds], [touched.json.last_seen_at, 31]);
  await control.end(session);
});

test('a viewer sees the page through the gateway, by the runner’s address and by control’s', async (context) => {
  const session = await control.create({ vnc: true, start_url: `${site.url}/green` });
  const { first: id } = fleet.runnerWest.ranges.ids;
  const { port } = new URL(fleet.gateway.url);
  assert.deepEqual([session.worker, session.vnc_enabled, session.headless], ['west', true, false]);
  assert.deepEqual(keyless(session.vnc), {
    ws: `ws://127.0.0.1:${port}/websockify?by=control&token=${id}`,
    http: `${fleet.gateway.url}/vnc/${id}`,
    password_protected: false,
  });
  const { vnc, vnc_info: links } = await fleet.runnerWest.session({ id: session.id });
  assert.deepEqual([vnc, keyless(links).ws, links.http], [true, `${fleet.gateway.wsUrl}/websockify?token=${id}`, session.vnc.http]);
  for (const url of [session.vnc.ws, links.ws]) {
    const viewer = await Viewer.connect(url);
    await viewer.shows(GREEN);
    await viewer.close();
  }
  const chromium = await startChromium();
  context.after(() => chromium.close());
  const bare = `${fleet.gateway.url}/vnc/${id}`;
  const pages = await Promise.all([session.vnc.http, bare].map(async (address) => {
    const page = await chromium.newPage();
    await page.goto(address);
    await showsColour(page.locator('[data-testid="live-screen"][data-state="connected"] canvas'), GREEN);
    return page;
  }));
  // While its browser is restarted the view is not over, although this gateway knows no session.
  const [{ pid }] = browsers(fleet.runnerWest.runBase);
  const answers = [];
  const asking = setInterval(async () => {
    const { status } = await fleet.gateway.request('GET', `/websockify/view?token=${id}&key=${keyOf(session.vnc.ws)}`);
    answers.push(status);
  }, 50);
  process.kill(pid, 'SIGKILL');
  await control.sessionThat(session, ({ status, restarts }) => status === 'READY' && restarts === 1, 'READY again', 40_000);
  clearInterval(asking);
  for (const page of pages) await showsColour(page.locator('[data-testid="live-screen"][data-state="connected"] canvas'), GREEN);
  assert.ok(answers.length > 0 && !answers.includes(410), `${answers}`);

  await control.end(session);
  assert.deepEqual(xServers(fleet.runnerWest.runBase), []);

  // The next session gets the number; the address of the last one is answered with "over".
  const next = await control.create({ vnc: true, start_url: `${site.url}/green` });
  assert.equal(next.vnc_id, session.vnc_id);
  const asked = (view) => fleet.gateway.request('GET', `/websockify/view?token=${view.vnc_id}&key=${keyOf(view.vnc.ws)}`);
  assert.deepEqual([(await asked(next)).status, (await asked(session)).status], [200, 410]);
  await assert.rejects(Viewer.connect(session.vnc.ws), /live view is over/);
  // So are the open pages, including the one that was opened by number alone.
  for (const page of pages) await page.getByRole('status').filter({ hasText: 'The session of this screen is over.' }).waitFor();
  const { json: shown } = await fleet.gateway.request('GET', `/websockify/view?token=${id}`);
  assert.deepEqual(shown, { session: null, key: keyOf(next.vnc.ws) });
  await control.end(next);
});

test('a delete at control ends the browser on its runner, and the next read shows it', async () => {
  const session = await control.create({ headless: true });
  const [{ pid }] = browsers(fleet.runnerOf(session).runBase);
  await control.end(session);
  assert.equal(isAlive(pid), false);
  assert.deepEqual(await control.sessions(), []);
  const place = `/sessions/${session.worker}/${session.id}`;
  assert.equal((await control.request('GET', place)).status, 404, 'clients of the original poll for this');
  const view = await control.read(`${place}?ended=true`);
  assert.deepEqual([view.status, view.end_reason], ['DEAD', 'deleted']);
  assert.deepEqual((await fleet.runnerOf(session).sessions()).length, 0);
});

test('errors have the same text at any distance', async () => {
  const create = (body) => control.request('POST', '/sessions', { body });
  for (const [answer, status, code] of [
    [await create({ worker: 'east', vnc: true }), 400, 'vnc_unsupported'],
    [await create({ worker: 'south' }), 404, 'worker_not_found'],
    [await create({ idle_ttl_seconds: 5 }), 422, 'invalid_field'],
    [await fleet.workerEast.request('POST', '/sessions', { body: { vnc: true } }), 400, 'vnc_unsupported'],
    [await control.request('DELETE', `/sessions/west/${NOBODY}`), 404, 'session_not_found'],
    [await control.request('GET', `/sessions/south/${NOBODY}`), 404, 'worker_not_found'],
    [await control.request('POST', `/sessions/east/${NOBODY}/touch`), 404, 'session_not_found'],
  ]) {
    assert.deepEqual([answer.status, answer.json?.code], [status, code], answer.text);
  }
});

test('an impossible handshake is refused before its upgrade', async () => {
  const session = await control.create({ headless: true, worker: 'west' });
  const url = control.wsUrl + session.ws_endpoint;
  const old = await openSocket(url, { headers: { ...CLIENT_HEADERS, 'user-agent': 'Playwright/1.10.0 (x64; debian 12) node/20' } });
  assert.deepEqual([old.refusal?.status, old.refusal?.json.code], [428, 'playwright_version_mismatch']);
  assert.match(old.refusal.json.detail, /Playwright\/1\.10\.0/);
  await control.end(session);
  const late = await openSocket(url, { headers: HEADERS });
  assert.deepEqual([late.refusal?.status, late.refusal?.json.code], [404, 'session_not_found']);
  assert.match(late.refusal.headers['content-type'], /^application\/json/);
  const lost = await openSocket(`${control.wsUrl}/sessions/south/${session.id}/ws`, { headers: HEADERS });
  assert.deepEqual([lost.refusal?.status, lost.refusal?.json.code], [404, 'worker_not_found']);
});

test('a session\'s end reason reaches its client through all hops', async () => {
  const session = await control.create({ headless: true, worker: 'east' });
  const { socket, closed } = await openSocket(control.wsUrl + session.ws_endpoint, { headers: HEADERS });
  assert.ok(socket, 'the client is attached');
  await control.end(session);
  const { code, reason } = await within(closed, 'the socket to be closed', 2000);
  assert.equal(code, 1011);
  assert.match(reason, /the session ended: deleted/);
});

test('a request has the same id in the logs of all roles that serve it', async () => {
  const logs = () => [control, fleet.workerWest, fleet.runnerWest].map((role) => role.logLines());
  const isIn = (id) => until(() => logs().every((lines) => lines.some((line) => line.includes(`request ${id}`))), `${id} in all logs`, 2000);
  const named = (id) => ({ 'x-request-id': id });
  const answer = await control.request('POST', '/sessions', { body: { headless: true, worker: 'west' }, headers: named('e2e-create') });
  assert.deepEqual([answer.status, answer.headers['x-request-id']], [201, 'e2e-create']);
  await isIn('e2e-create');
  const { socket } = await openSocket(control.wsUrl + answer.json.ws_endpoint, { headers: { ...HEADERS, ...named('e2e-attach') } });
  socket.close();
  await isIn('e2e-attach');
  await control.request('DELETE', pathOf(answer.json), { headers: named('e2e-delete') });
  await isIn('e2e-delete');
});

test('a request id is in every log line of its launch, its start URL, its client and its end', async () => {
  const past = [control, fleet.workerWest, fleet.runnerWest].map((role) => [role, role.logLines().length]);
  const named = { 'x-request-id': 'e2e-every-line' };
  const body = { headless: true, worker: 'west', start_url: 'http://127.0.0.1:1/' };
  const { json: session } = await control.request('POST', '/sessions', { body, headers: named });
  const { socket, closed } = await openSocket(control.wsUrl + session.ws_endpoint, { headers: { ...HEADERS, ...named } });
  const onRunner = () => fleet.runnerWest.logLines();
  await until(() => onRunner().some((line) => /the start URL of session .* was not opened/.test(line)), 'the start URL to fail');
  socket.close();
  await closed;
  await until(() => onRunner().some((line) => /a client left/.test(line)), 'the client to be gone');
  await control.request('DELETE', pathOf(session), { headers: named });
  const ofIt = (line) => line.includes(session.id) || line.includes(named['x-request-id']);
  // Polls are separate requests.
  const lines = past.flatMap(([role, count]) => role.logLines().slice(count).filter((line) => ofIt(line) && !/ GET /.test(line)));
  for (const what of [/launch \d+: firefox .* is ready/, /is ready: firefox/, /the start URL of/, /WS .* opened/, /a client left/, /ended \(deleted\)/]) {
    assert.ok(lines.some((line) => what.test(line)), `${what} is among\n${lines.join('\n')}`);
  }
  assert.deepEqual(lines.filter((line) => !line.endsWith('request e2e-every-line')), []);
});

test('the endpoint of each role can be reached from where its caller is', async () => {
  const session = await control.create({ headless: true, worker: 'east' });
  const { ws_endpoint: absolute } = await fleet.runnerEast.session({ id: session.id });
  assert.equal(absolute, `${fleet.runnerEast.wsUrl}/sessions/${session.id}/ws`);
  const { ws_endpoint: relative } = await fleet.workerEast.session({ id: session.id });
  assert.equal(relative, `/sessions/${session.id}/ws`);
  for (const url of [absolute, fleet.workerEast.wsUrl + relative, `${control.wsUrl}/api${session.ws_endpoint}`]) {
    const client = await firefox.connect(url, { timeout: 20_000 });
    assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
    await client.close();
  }
  await control.end(session);
});

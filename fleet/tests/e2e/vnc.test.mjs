/** Live views: the screen is read and controlled through the tunnel. */
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { listens, openSocket, request } from './helpers/http.mjs';
import { keyless } from './helpers/liveViews.mjs';
import { abilities, attach } from './helpers/playwright.mjs';
import { xServers } from './helpers/processes.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until, within } from './helpers/wait.mjs';

const GREEN = [20, 160, 70];
const VIOLET = [120, 40, 200];
/** Reports what was typed to the site; a click anywhere focuses the field. */
const TYPEWRITER = colouredPage(
  VIOLET,
  `<input autofocus><script>
    const input = document.querySelector('input');
    input.oninput = () => fetch('/typed?' + input.value);
    document.onclick = () => { input.focus(); fetch('/clicked'); };
  </script>`,
);

let site;

before(async () => {
  site = await Site.open({ '/green': colouredPage(GREEN), '/typewriter': TYPEWRITER });
});

after(() => site?.close());

/** Tests for every display server. */
function behavesAsALiveView(settings, programs) {
  let server;
  before(async () => (server = await Server.start(settings)));
  after(() => server?.stop());

  test(`${programs}: the start URL's page is on the screen, and what is typed into the tunnel arrives in it`, async () => {
    const past = site.visits.length;
    const session = await server.create({ vnc: true, start_url: `${site.url}/typewriter` });
    const id = server.firstVncId;
    assert.deepEqual([session.headless, session.vnc_enabled], [false, true]);
    assert.deepEqual(keyless(session.vnc), { ws: `/websockify?token=${id}`, http: `/vnc/${id}`, password_protected: false });

    const viewer = await Viewer.connect(server.wsUrl + session.vnc.ws);
    assert.deepEqual([viewer.protocol, viewer.width, viewer.height], ['binary', 1024, 768]);
    await viewer.shows(VIOLET);
    // The window covers the whole display, including its last corner.
    const corner = async () => isDeepStrictEqual(await viewer.pixels(1020, 764, 4, 4), Array(16).fill(VIOLET));
    await until(corner, 'the last corner to be violet');
    viewer.click(512, 384);
    await site.visit(/^\/clicked/, past);
    viewer.type('k7');
    await site.visit(/^\/typed\?k7/, past);
    await viewer.close();

    const before = Date.parse(session.last_seen_at);
    const { last_seen_at: lastSeen, start_url_error: error } = await server.session(session);
    assert.equal(error, null);
    assert.ok(Date.parse(lastSeen) > before, 'input of a viewer is activity');
    await server.end(session);
  });
}

describe('with Xvnc', () => behavesAsALiveView({ RUNNER_VNC_BACKEND: 'xvnc' }, 'Xvnc'));
describe('with Xvfb and x11vnc', () => behavesAsALiveView({ RUNNER_VNC_BACKEND: 'x11vnc' }, 'Xvfb and x11vnc'));

describe('the raw VNC port', () => {
  for (const backend of ['xvnc', 'x11vnc']) {
    test(`${backend}: it listens on RUNNER_VNC_BIND only, and its input is activity`, async () => {
      const server = await Server.start({ RUNNER_VNC_BIND: '127.0.0.2', RUNNER_VNC_BACKEND: backend });
      try {
        const session = await server.create({ vnc: true, start_url: `${site.url}/green` });
        assert.equal(await listens('127.0.0.1', server.ranges.ports.first), false);
        const viewer = await Viewer.connectTo('127.0.0.2', server.ranges.ports.first);
        await viewer.shows(GREEN);
        const watched = Date.parse((await server.session(session)).last_seen_at);
        assert.equal(watched, Date.parse(session.last_seen_at), 'watching is no activity');
        viewer.type('x');
        const touched = (view) => Date.parse(view.last_seen_at) > watched;
        await server.sessionThat(session, touched, 'touched by a key stroke');
        await viewer.close();
        // The gateway in the same process follows.
        const tunnel = await Viewer.connect(server.wsUrl + session.vnc.ws);
        await tunnel.shows(GREEN);
        await tunnel.close();
        await server.end(session);
        assert.equal(await listens('127.0.0.2', server.ranges.ports.first), false, 'the port goes with the session');
      } finally {
        await server.stop();
      }
    });
  }
});

describe('the shared screen of RUNNER_VNC_LEGACY', () => {
  const [DISPLAY, VNC_PORT, WS_PORT, PASSWORD] = [931, 18_931, 18_932, 's3cret'];
  for (const backend of ['xvnc', 'x11vnc']) {
    test(`${backend}: all sessions are on it, its port shows it with the password, and it is restarted`, async () => {
      const server = await Server.start({
        RUNNER_VNC_BACKEND: backend,
        RUNNER_VNC_LEGACY: '1',
        DISPLAY: `:${DISPLAY}`,
        VNC_RES: '1024x768x24',
        VNC_PORT: String(VNC_PORT),
        WS_PORT: String(WS_PORT),
        VNC_PASSWORD: PASSWORD,
        RUNNER_VNC_WEB_ASSETS_PATH: '/nowhere',
      });
      try {
        const session = await server.create({ vnc: true, start_url: `${site.url}/typewriter` });
        assert.deepEqual(keyless(session.vnc), { ws: '/websockify?token=screen', http: '/vnc/screen', password_protected: true });
        assert.deepEqual([xServers(server.runBase).length, await server.usedSlots()], [1, 0]);
        const page = await request('GET', `http://127.0.0.1:${WS_PORT}/`);
        assert.deepEqual([page.status, page.headers.location], [303, 'vnc/screen']);

        const url = `ws://127.0.0.1:${WS_PORT}/websockify`;
        await assert.rejects(Viewer.connect(url, {}, 'wrong'), /refused the viewer/);
        const viewer = await Viewer.connect(url, {}, PASSWORD);
        assert.deepEqual([viewer.kinds, viewer.width], [[2], 1024]);
        await viewer.shows(VIOLET);
        const watched = Date.parse((await server.session(session)).last_seen_at);
        const past = site.visits.length;
        viewer.click(512, 384);
        viewer.keys('щ', '漢');
        await site.visit(/^\/typed\?%D1%89%E6%BC%A2/, past);
        await server.sessionThat(session, (view) => Date.parse(view.last_seen_at) > watched, 'touched by a key stroke');

        const [{ pid }] = xServers(server.runBase);
        process.kill(pid, 'SIGKILL');
        await within(viewer.closed, 'the viewer to go with its screen');
        await server.sessionThat(session, (view) => view.restarts >= 1 && view.status === 'READY', 'the session to be restarted', 30_000);
        // The panel's own gateway shows it too.
        const tunnel = await Viewer.connect(server.wsUrl + session.vnc.ws, {}, PASSWORD);
        await tunnel.shows(VIOLET);
        await tunnel.close();
        await server.end(session);
      } finally {
        await server.stop();
      }
    });
  }
});

describe('the gateway', () => {
  let server, session;
  before(async () => {
    server = await Server.start();
    session = await server.create({ vnc: true, start_url: `${site.url}/green` });
  });
  after(() => server?.stop());

  test('X-Forwarded-Prefix names the live view where an ingress has stripped its prefix', async () => {
    const viewer = await Viewer.connect(`${server.wsUrl}/websockify`, { 'x-forwarded-prefix': `/vnc/${session.vnc_id}` });
    await viewer.shows(GREEN);
    await viewer.close();
  });

  test('several viewers see the same screen, and the actions of an attached client', async () => {
    const viewers = await Promise.all([1, 2].map(() => Viewer.connect(server.wsUrl + session.vnc.ws)));
    for (const viewer of viewers) await viewer.shows(GREEN);
    const browser = await attach(server, session);
    const [page] = browser.contexts().flatMap((context) => context.pages());
    assert.deepEqual(await abilities(page), { webgl: true, h264: 'probably' });
    await page.evaluate(() => (document.documentElement.style.background = 'rgb(120,40,200)'));
    for (const viewer of viewers) await viewer.shows(VIOLET);
    const metrics = await server.metrics();
    assert.equal(metrics.value('camofleet_tunnels'), 2);
    await browser.close();
    for (const viewer of viewers) await viewer.close();
  });

  test('the subprotocol is echoed only if it was offered', async () => {
    const { socket } = await openSocket(server.wsUrl + session.vnc.ws);
    assert.equal(socket.protocol, '');
    socket.close();
  });

  test('a viewer is closed with 1011 when its session ends', async () => {
    const viewer = await Viewer.connect(server.wsUrl + session.vnc.ws);
    await server.end(session);
    const { code, reason } = await within(viewer.closed, 'the tunnel to be closed');
    assert.equal(code, 1011);
    assert.match(reason, /VNC server/);
    assert.deepEqual(xServers(server.runBase), []);
    const { refusal } = await openSocket(server.wsUrl + session.vnc.ws);
    assert.deepEqual([refusal.status, refusal.json.code], [410, 'view_over']);
  });
});

/** Screenshots of sessions, on real displays. */
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import jpeg from 'jpeg-js';
import { pathOf } from './helpers/camofleet.mjs';
import { attach } from './helpers/playwright.mjs';
import { isColour } from './helpers/rfb.mjs';
import { Fleet } from './helpers/roles.mjs';
import { Server, test } from './helpers/server.mjs';
import { Site, colouredPage } from './helpers/site.mjs';
import { until } from './helpers/wait.mjs';

const GREEN = [20, 160, 70];
const VIOLET = [120, 40, 200];
const SCREEN = [1024, 768];

let site;

before(async () => {
  site = await Site.open({ '/green': colouredPage(GREEN), '/violet': colouredPage(VIOLET) });
});

after(() => site?.close());

/** Requests a screenshot of a session, and decodes it. */
async function pictureOf(camofleet, session, width) {
  const answer = await camofleet.request('GET', `${pathOf(session)}/screenshot${width ? `?width=${width}` : ''}`);
  assert.deepEqual([answer.status, answer.headers['content-type'], answer.headers['cache-control']], [200, 'image/jpeg', 'no-store'], answer.text);
  return { bytes: answer.bytes, ...jpeg.decode(answer.bytes) };
}

/** The colour of a spot, by its position from the left and the top, each from 0 to 1. */
function colourAt({ data, width, height }, left, top) {
  const at = 4 * (Math.floor(top * (height - 1)) * width + Math.floor(left * (width - 1)));
  return [...data.subarray(at, at + 3)];
}

/**
 * Waits until a screenshot has a single colour below the browser's toolbar, away from the pointer in its
 * middle.
 */
async function shows(camofleet, session, colour, width) {
  const spots = [[0, 0.3], [1, 0.3], [0, 1], [1, 1], [0.25, 0.5], [0.75, 0.5]];
  let seen;
  await until(
    async () => {
      seen = await pictureOf(camofleet, session, width);
      return spots.every(([left, top]) => isColour(colourAt(seen, left, top), colour));
    },
    `rgb(${colour}) all over the picture`,
    20_000,
  ).catch((error) => {
    throw new Error(`${error.message}; it shows rgb(${seen && colourAt(seen, 0.25, 0.5)})`, { cause: error });
  });
  return seen;
}

/** How many times screens were read with this result. */
async function readings(camofleet, outcome = 'ok') {
  return (await camofleet.metrics()).value('camofleet_screen_capture_seconds_count', { outcome });
}

/** Tests for every display server. */
function takesPictures(backend) {
  let server;
  before(async () => (server = await Server.start({ RUNNER_VNC_BACKEND: backend })));
  after(() => server?.stop());

  test(`${backend}: the screenshot shows the current page, in the requested width`, async () => {
    const session = await server.create({ vnc: true, start_url: `${site.url}/green` });
    const small = await shows(server, session, GREEN, 320);
    assert.deepEqual([small.width, small.height], [320, 240]);
    assert.equal((await server.session(session)).last_seen_at, session.last_seen_at, 'it is no activity');
    const whole = await shows(server, session, GREEN);
    assert.deepEqual([whole.width, whole.height], SCREEN);
    const browser = await attach(server, session);
    const [page] = browser.contexts().flatMap((context) => context.pages());
    for (const colour of [VIOLET, GREEN, VIOLET]) {
      await page.evaluate(async (rgb) => {
        document.documentElement.style.background = `rgb(${rgb})`;
        const painted = () => new Promise((resolve) => requestAnimationFrame(resolve));
        await painted();
        await painted();
      }, colour);
      await new Promise((resolve) => setTimeout(resolve, 1100));
      const changed = colourAt(await pictureOf(server, session, 320), 0.25, 0.5);
      assert.ok(isColour(changed, colour), `the first picture after the change shows rgb(${changed}), not rgb(${colour})`);
    }
    await browser.close();
    const most = await pictureOf(server, session, 3840);
    assert.deepEqual([most.width, most.height], SCREEN, 'it is never wider than the screen');
    const [tiny, wide] = [await pictureOf(server, session, 16), await pictureOf(server, session, 800)];
    assert.deepEqual([tiny.width, tiny.height, wide.width, wide.height], [16, 12, 800, 600]);
    assert.ok(small.bytes.length < 16_384, `a plain page's thumbnail has ${small.bytes.length} bytes`);
    assert.equal((await server.metrics()).value('camofleet_tunnels'), 0);
    await server.end(session);
    const refused = await server.request('GET', `${pathOf(session)}/screenshot`);
    assert.deepEqual([refused.status, refused.json.code], [404, 'session_not_found']);
  });

  test(`${backend}: requests within a second share one reading, and later ones cause another`, async () => {
    const session = await server.create({ vnc: true, start_url: `${site.url}/green` });
    await shows(server, session, GREEN, 320);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const past = await readings(server);
    const began = performance.now();
    const pictures = await Promise.all(Array.from({ length: 12 }, () => pictureOf(server, session, 320)));
    assert.ok(pictures.every(({ bytes }) => bytes.equals(pictures[0].bytes)));
    await pictureOf(server, session, 200);
    const made = (await readings(server)) - past;
    const took = performance.now() - began;
    // On a busy machine they may take longer than the second; then there are more readings.
    assert.ok(made >= 1 && made <= 1 + Math.floor(took / 1000), `${made} readings in ${took.toFixed(0)} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await pictureOf(server, session, 320);
    assert.equal(await readings(server), past + made + 1);
    await server.end(session);
  });

  test(`${backend}: the shared screen of RUNNER_VNC_LEGACY is read with its password, once for all sessions on it`, async () => {
    const [display, port] = backend === 'xvnc' ? [941, 18_941] : [942, 18_942];
    const legacy = await Server.start({
      RUNNER_VNC_BACKEND: backend,
      RUNNER_VNC_LEGACY: '1',
      DISPLAY: `:${display}`,
      VNC_RES: '1024x768x24',
      VNC_PORT: String(port),
      WS_PORT: String(port + 100),
      VNC_PASSWORD: 's3cret',
    });
    try {
      const session = await legacy.create({ vnc: true, start_url: `${site.url}/violet` });
      const picture = await shows(legacy, session, VIOLET, 512);
      assert.deepEqual([picture.width, picture.height], [512, 384]);
      const other = await legacy.create({ vnc: true });
      await new Promise((resolve) => setTimeout(resolve, 1100));
      const past = await readings(legacy);
      await Promise.all([session, other].map((each) => pictureOf(legacy, each, 320)));
      assert.equal(await readings(legacy), past + 1);
    } finally {
      await legacy.stop();
    }
  });
}

describe('a screenshot', () => {
  describe('of Xvnc', () => takesPictures('xvnc'));
  describe('of Xvfb with x11vnc', () => takesPictures('x11vnc'));
});

describe('an impossible screenshot', () => {
  let server;
  before(async () => (server = await Server.start()));
  after(() => server?.stop());

  test('a session without a live view and an invalid width are errors', async () => {
    const session = await server.create({ headless: true });
    const blind = await server.request('GET', `${pathOf(session)}/screenshot`);
    assert.deepEqual([blind.status, blind.json.code], [409, 'no_live_view']);
    assert.match(blind.json.detail, /"vnc": true/);
    for (const width of [15, 3841, 'wide']) {
      const refused = await server.request('GET', `${pathOf(session)}/screenshot?width=${width}`);
      assert.deepEqual([refused.status, refused.json.code], [422, 'invalid_field']);
      assert.match(refused.json.detail, /^width: .*16 to 3840/);
    }
    await server.end(session);
  });

  test('a VNC server that does not answer is given up after five seconds, and read again later', async () => {
    const session = await server.create({ vnc: true, start_url: `${site.url}/green` });
    const { pid } = server.xServerOf(session);
    process.kill(pid, 'SIGSTOP');
    try {
      const started = performance.now();
      const late = await server.request('GET', `${pathOf(session)}/screenshot`);
      assert.deepEqual([late.status, late.json.code], [504, 'upstream_timed_out']);
      const took = performance.now() - started;
      assert.ok(took > 4900 && took < 8000, `${took} ms`);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await shows(server, session, GREEN, 320);
    assert.equal(await readings(server, 'upstream_timed_out'), 1);
    await server.end(session);
  });
});

describe('a screenshot of a remote session', () => {
  test('it comes from the runner through worker and control, and is no activity of the session', async () => {
    const fleet = await Fleet.start();
    try {
      const session = await fleet.control.create({ worker: 'west', vnc: true, start_url: `${site.url}/violet` });
      for (const camofleet of [fleet.control, fleet.workerWest, fleet.runnerWest]) {
        const known = camofleet === fleet.control ? session : { id: session.id };
        const picture = await shows(camofleet, known, VIOLET, 320);
        assert.deepEqual([picture.width, picture.height], [320, 240]);
      }
      assert.equal(await readings(fleet.control), 0, 'only the runner reads screens');
      assert.ok((await readings(fleet.runnerWest)) > 0);
      assert.equal((await fleet.runnerWest.session({ id: session.id })).last_seen_at, session.last_seen_at);
      await fleet.control.end(session);
    } finally {
      await fleet.stop();
    }
  });
});

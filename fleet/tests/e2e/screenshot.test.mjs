/** Pictures of sessions' screens, on real displays. */
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

/** Asks for a picture of a session's screen, and decodes it. */
async function pictureOf(camofleet, session, width) {
  const answer = await camofleet.request('GET', `${pathOf(session)}/screenshot${width ? `?width=${width}` : ''}`);
  assert.deepEqual([answer.status, answer.headers['content-type'], answer.headers['cache-control']], [200, 'image/jpeg', 'no-store'], answer.text);
  return { bytes: answer.bytes, ...jpeg.decode(answer.bytes) };
}

/** The colour of a spot, by its place from the left and the top, each from 0 to 1. */
function colourAt({ data, width, height }, left, top) {
  const at = 4 * (Math.floor(top * (height - 1)) * width + Math.floor(left * (width - 1)));
  return [...data.subarray(at, at + 3)];
}

/** Waits until a picture is one colour below the browser's own bars, away from the pointer in its middle. */
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

/** How many readings of screens came to this. */
async function readings(camofleet, outcome = 'ok') {
  return (await camofleet.metrics()).value('camofleet_screen_capture_seconds_count', { outcome });
}

/** Tests that hold whatever serves the display. */
function takesPictures(backend) {
  let server;
  before(async () => (server = await Server.start({ RUNNER_VNC_BACKEND: backend })));
  after(() => server?.stop());

  test(`${backend}: the picture shows the page as it is now, at the width that was asked for`, async () => {
    const session = await server.create({ vnc: true, start_url: `${site.url}/green` });
    const small = await shows(server, session, GREEN, 320);
    assert.deepEqual([small.width, small.height], [320, 240]);
    assert.equal((await server.session(session)).last_seen_at, session.last_seen_at, 'it is no activity');
    const whole = await shows(server, session, GREEN);
    assert.deepEqual([whole.width, whole.height], SCREEN);
    const browser = await attach(server, session);
    const [page] = browser.contexts().flatMap((context) => context.pages());
    for (const colour of [VIOLET, GREEN, VIOLET]) {
      await page.evaluate((rgb) => (document.documentElement.style.background = `rgb(${rgb})`), colour);
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

  test(`${backend}: who asks within a second shares one reading, and after it there is another`, async () => {
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
    // A machine that is busy with other tests may need longer than the second for all of them: then there are more.
    assert.ok(made >= 1 && made <= 1 + Math.floor(took / 1000), `${made} readings in ${took.toFixed(0)} ms`);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await pictureOf(server, session, 320);
    assert.equal(await readings(server), past + made + 1);
    await server.end(session);
  });

  test(`${backend}: the one screen of RUNNER_VNC_LEGACY is read past its password, once for all sessions on it`, async () => {
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

describe('a picture of the screen', () => {
  describe('of Xvnc', () => takesPictures('xvnc'));
  describe('of Xvfb with x11vnc', () => takesPictures('x11vnc'));
});

describe('a picture that can not be taken', () => {
  let server;
  before(async () => (server = await Server.start()));
  after(() => server?.stop());

  test('a session without a live view and a width that makes no sense are told so', async () => {
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

  test('a VNC server that has stopped answering is given up after five seconds, and is looked at again', async () => {
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

describe('a picture from afar', () => {
  test('it comes from the runner through worker and control, and is nobody\'s activity there', async () => {
    const fleet = await Fleet.start();
    try {
      const session = await fleet.control.create({ worker: 'west', vnc: true, start_url: `${site.url}/violet` });
      for (const camofleet of [fleet.control, fleet.workerWest, fleet.runnerWest]) {
        const known = camofleet === fleet.control ? session : { id: session.id };
        const picture = await shows(camofleet, known, VIOLET, 320);
        assert.deepEqual([picture.width, picture.height], [320, 240]);
      }
      assert.equal(await readings(fleet.control), 0, 'only the runner looks at screens');
      assert.ok((await readings(fleet.runnerWest)) > 0);
      assert.equal((await fleet.runnerWest.session({ id: session.id })).last_seen_at, session.last_seen_at);
      await fleet.control.end(session);
    } finally {
      await fleet.stop();
    }
  });
});

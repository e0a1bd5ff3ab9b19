/** Idle sessions expire, even with an idle client; active ones continue. */
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { openSocket } from './helpers/http.mjs';
import { CLIENT_HEADERS, attach, blankPage } from './helpers/playwright.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { Server, test } from './helpers/server.mjs';
import { until, within } from './helpers/wait.mjs';

/** The shortest TTL that the API accepts: these tests wait it out concurrently. */
const TTL_SECONDS = 30;
/** Longer than the TTL; an active session must still be there after it. */
const BUSY_SECONDS = TTL_SECONDS + 5;
const PATIENCE_MS = 60_000;

let server;
before(async () => (server = await Server.start({ RUNNER_LAUNCH_PERMITS: '2' })));
after(() => server?.stop());

const create = (body) => server.create({ idle_ttl_seconds: TTL_SECONDS, ...body });

/** The session expired, and at the right time. */
async function expires(session) {
  const ended = await server.ended(session, PATIENCE_MS);
  assert.deepEqual([ended.status, ended.end_reason], ['DEAD', 'expired']);
  const idle = (Date.parse(ended.ended_at) - Date.parse(ended.last_seen_at)) / 1000;
  assert.ok(idle >= TTL_SECONDS && idle < TTL_SECONDS + 3, `it ended after ${idle} s without activity`);
}

/** The session outlives its TTL because of activity every few seconds. */
async function livesOn(session, act) {
  const started = Date.now();
  let acted = 0;
  await until(
    async () => {
      if (Date.now() - acted > 5000) {
        await act();
        acted = Date.now();
      }
      return Date.now() - started > BUSY_SECONDS * 1000;
    },
    'its time to live to pass',
    PATIENCE_MS,
  );
  assert.equal((await server.session(session)).status, 'READY');
  await server.end(session);
}

describe('idle time', { concurrency: true }, () => {
  test('a session with a silent client expires, and the client gets the reason', async () => {
    const session = await create({ headless: true });
    const { closed } = await openSocket(server.wsUrl + session.ws_endpoint, { headers: CLIENT_HEADERS });
    await expires(session);
    const { code, reason } = await within(closed, 'the client to be closed');
    assert.equal(code, 1011);
    assert.match(reason, /nothing happened in it for 30 s/);
  });

  test('a session that is only viewed expires', async () => {
    const session = await create({ vnc: true });
    const viewer = await Viewer.connect(server.wsUrl + session.vnc.ws);
    let watching = true;
    const over = viewer.closed.then(() => (watching = false));
    const watch = (async () => {
      while (watching) await until(() => viewer.pixels(0, 0, 4, 4), 'a picture');
    })().catch(() => {});
    await expires(session);
    await within(Promise.all([over, watch]), 'the viewer to be closed');
    assert.equal(await server.usedSlots().then((used) => used <= 1), true, 'its slot is back');
  });

  test('a session whose client is active continues', async () => {
    const session = await create({ headless: true });
    const client = await attach(server, session);
    const page = await blankPage(client);
    await livesOn(session, () => page.evaluate(() => 6 * 7));
  });

  test('a session whose viewer moves the pointer continues', async () => {
    const session = await create({ vnc: true });
    const viewer = await Viewer.connect(server.wsUrl + session.vnc.ws);
    await livesOn(session, () => viewer.click(300, 300));
  });

  test('a session that is touched continues', async () => {
    const session = await create({ headless: true });
    await livesOn(session, async () => {
      const answer = await server.request('POST', `/sessions/local/${session.id}/touch`);
      assert.deepEqual([answer.status, answer.json.id], [200, session.id]);
    });
  });
});

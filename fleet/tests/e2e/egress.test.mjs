/** The ways of browsers' connections: exits, changes of them, block lists, and what a page can't reach. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before } from 'node:test';
import { egressSockets } from './helpers/socks.mjs';
import { attach, blankPage } from './helpers/playwright.mjs';
import { browsers } from './helpers/processes.mjs';
import { dante, overTls, tinyproxy } from './helpers/proxies.mjs';
import { Server, temporaryDirectory, test } from './helpers/server.mjs';
import { Authority } from './helpers/tls.mjs';
import { ExitSite } from './helpers/exitSite.mjs';
import { until } from './helpers/wait.mjs';

const FROM = { direct: '127.0.0.1', dante: '127.0.0.2', tinyproxy: '127.0.0.3', tls: '127.0.0.4' };
/** The name of the site, which only the proxies can resolve. */
const SHOP = 'shop.example';
/** The host of the TLS proxy's certificate. */
const TLS_HOST = 'localhost';

let site, server, proxies, directory, tlsFront;
before(async () => {
  directory = temporaryDirectory();
  const authority = new Authority(directory, TLS_HOST);
  const names = { [SHOP]: '127.0.0.1' };
  site = await ExitSite.open();
  const [socks, http, behind] = await Promise.all([
    dante({ from: FROM.dante, names }),
    tinyproxy({ from: FROM.tinyproxy, names }),
    tinyproxy({ from: FROM.tls, names }),
  ]);
  tlsFront = await overTls(behind, authority, TLS_HOST);
  proxies = { dante: socks, tinyproxy: http, behind };
  fs.writeFileSync(path.join(directory, 'ads.txt'), '0.0.0.0 ads.example\n');
  server = await Server.start({
    // Its own pool, to show that one of these serves any proxy.
    RUNNER_POOLS: JSON.stringify([{ name: 'plain', count: 1, request: { headless: true, labels: { any: 'thing' } } }]),
    SSL_CERT_FILE: authority.file,
    RUNNER_EGRESS_CONNECT_SECONDS: '3',
    RUNNER_EGRESS_LISTS: JSON.stringify({ ads: path.join(directory, 'ads.txt') }),
    RUNNER_PROXIES: JSON.stringify({ both: [socks.url, http.url], spinning: { servers: [socks.url, http.url], use: 'rotate' } }),
  });
});
after(async () => {
  await server?.stop();
  await Promise.all([...Object.values(proxies ?? {}).map((proxy) => proxy.stop()), site?.close()]);
  tlsFront?.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

/** A session with an attached client and a page. */
async function visitor(body) {
  const session = await server.create({ headless: true, ...body });
  const client = await attach(server, session);
  return { session, client, page: await blankPage(client), end: () => server.end(session) };
}

/** The address that the site sees a page come from. */
async function exitOf(page, host = SHOP) {
  await page.goto(`http://${host}:${site.port}/from?${Math.random()}`);
  return page.textContent('body');
}

/** Expects that a page fails to load within a time, and that nothing came to the site. */
async function failsWithin(page, limit, error, host = SHOP) {
  const [visits, started] = [site.visits.length, performance.now()];
  await assert.rejects(page.goto(`http://${host}:${site.port}/from?${Math.random()}`, { timeout: 20_000 }), error);
  const took = performance.now() - started;
  assert.ok(took < limit, `it took ${took} ms`);
  assert.deepEqual(site.visits.slice(visits), []);
}

const change = async (session, proxy) => {
  const answer = await server.request('PATCH', `/sessions/local/${session.id}`, { body: { proxy } });
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
};

test('pages of warm browsers leave by the exits that their requests name, two at once', async () => {
  const { username, password, server: address } = proxies.dante;
  const secrets = [password, encodeURIComponent(password), 's3same'];
  const choices = {
    dante: { server: address, username, password },
    tinyproxy: proxies.tinyproxy.url,
    tls: tlsFront.url,
  };
  const open = [];
  for (const [name, proxy] of Object.entries(choices)) {
    await server.poolsFull();
    const visiting = await visitor({ proxy });
    open.push({ name, ...visiting });
    assert.match(visiting.session.proxy.server, /^(socks5|https?):\/\/[^@]+:\d+$/, name);
  }
  // All are open: each page goes its own way, and names are resolved at its end.
  const exits = await Promise.all(open.map(async ({ name, page }) => [name, await exitOf(page)]));
  assert.deepEqual(Object.fromEntries(exits), { dante: FROM.dante, tinyproxy: FROM.tinyproxy, tls: FROM.tls });
  // So do the requests that a client makes without a page.
  const fetched = await Promise.all(open.map(async ({ name, page }) => [name, await (await page.request.get(`http://${SHOP}:${site.port}/from`)).text()]));
  for (const [name, text] of fetched) assert.ok(text.includes(`>${FROM[name]}<`), `${name}: ${text}`);
  const creates = (await server.metrics()).value('camofleet_session_create_seconds_count', { source: 'warm' });
  assert.ok(creates >= 3, 'the browsers were warm');
  const { pools } = (await server.read('/health')).workers[0].detail.facts;
  assert.deepEqual([Object.keys(pools), pools.plain.target, pools.plain.headless], [['plain'], 1, true]);
  const answers = [
    await server.sessions(),
    ...(await Promise.all(open.map(({ session }) => server.read(`/sessions/local/${session.id}/egress`)))),
    ...(await Promise.all(open.map(({ session }) => server.read(`/sessions/local/${session.id}/events`)))),
    await server.read('/health'),
    (await server.request('GET', '/metrics')).text,
    server.logLines(),
  ].map((answer) => JSON.stringify(answer));
  for (const text of answers) for (const secret of secrets) assert.ok(!text.includes(secret), text);
  for (const { end } of open) await end();
});

test('a session without a proxy connects directly, to the machine itself too, and its traffic is counted', async () => {
  const { session, page, end } = await visitor({});
  assert.equal(session.proxy, null);
  for (const host of ['127.0.0.1', 'localhost', '127.1']) assert.equal(await exitOf(page, host), FROM.direct, host);
  await assert.rejects(exitOf(page), /NS_ERROR_UNKNOWN_HOST/);
  await page.goto(`http://127.0.0.1:${site.port}/from`);
  await page.evaluate(() => fetch('/bytes/1000000').then((answer) => answer.arrayBuffer()));
  const report = await server.read(`/sessions/local/${session.id}/egress`);
  assert.equal(report.policy, 'no-fleet');
  assert.ok(report.totals.bytes_down > 1_000_000 && report.totals.bytes_up > 500, JSON.stringify(report));
  assert.ok(report.totals.refused.unresolved >= 1);
  assert.equal(report.hosts[0].host, '127.0.0.1');
  const { egress } = await server.session(session);
  assert.ok(egress.bytes_down >= report.totals.bytes_down);
  const metrics = await server.metrics();
  assert.ok(metrics.value('camofleet_egress_bytes_total', { direction: 'down' }) >= egress.bytes_down);
  await end();
});

test('an exit is changed under a WebSocket and a download, which end, and what follows goes the new way', async () => {
  const { session, page, end } = await visitor({ proxy: proxies.dante.url });
  await page.goto(`http://${SHOP}:${site.port}/page`);
  await page.evaluate(() => {
    const said = (window.said = []);
    const socket = (window.socket = new WebSocket(`ws://${location.host}/echo`));
    socket.onmessage = ({ data }) => said.push(data);
    socket.onclose = () => said.push('closed');
    window.downloaded = fetch('/endless').then(async (answer) => {
      for await (const chunk of answer.body) window.received = (window.received ?? 0) + chunk.length;
      return 'whole';
    }).catch(() => 'broken');
  });
  await page.waitForFunction(() => window.said.includes('hello') && window.received > 100_000);
  assert.equal(site.open(FROM.dante).sockets, 1);
  const changed = await change(session, proxies.tinyproxy.url);
  assert.equal(changed.proxy.server, proxies.tinyproxy.url.replace(/\/\/.*@/, '//'));
  await page.waitForFunction(() => window.said.includes('closed'));
  assert.equal(await page.evaluate(() => window.downloaded), 'broken');
  await until(() => site.open(FROM.dante).connections === 0, 'the old exit to have no connection');
  assert.equal(await exitOf(page), FROM.tinyproxy);
  const again = await page.evaluate(
    () =>
      new Promise((resolve, reject) => {
        const socket = new WebSocket(`ws://${location.host}/echo`);
        socket.onmessage = ({ data }) => resolve(data);
        socket.onerror = reject;
      }),
  );
  assert.equal(again, 'hello');
  assert.equal(site.open(FROM.tinyproxy).sockets, 1);
  const history = await server.read(`/sessions/local/${session.id}/events`);
  const entry = history.find(({ change: kind }) => kind === 'proxy_changed');
  assert.equal(entry.detail, changed.proxy.server);
  await change(session, null);
  assert.equal(await exitOf(page, '127.0.0.1'), FROM.direct);
  await end();
});

test('an exit that refuses, hangs, dies and comes back is never left for a direct connection', async () => {
  const { session, page, end } = await visitor({ proxy: proxies.dante.url });
  assert.equal(await exitOf(page), FROM.dante);
  proxies.dante.kill();
  await proxies.dante.exited;
  await failsWithin(page, 8000, /NS_ERROR_/);
  await proxies.dante.up();
  assert.equal(await exitOf(page), FROM.dante);
  proxies.dante.signal('SIGSTOP');
  // Without the connection that is open already. Firefox tries a second time.
  await change(session, proxies.dante.url);
  await failsWithin(page, 15_000, /NS_ERROR_/);
  proxies.dante.signal('SIGCONT');
  assert.equal(await exitOf(page), FROM.dante);
  await change(session, proxies.dante.url.replace('open', 'closed'));
  await failsWithin(page, 8000, /NS_ERROR_/);
  await change(session, proxies.tinyproxy.url.replace('s3same', 'wrong'));
  await failsWithin(page, 8000, /NS_ERROR_/);
  await change(session, tlsFront.url.replace(TLS_HOST, '127.0.0.1'));
  await failsWithin(page, 8000, /NS_ERROR_/);
  const { refused } = (await server.read(`/sessions/local/${session.id}/egress`)).totals;
  for (const reason of ['proxy_unreachable', 'timed_out', 'proxy_denied']) assert.ok(refused[reason] > 0, JSON.stringify(refused));
  // Also by an address, which a direct connection would reach.
  await failsWithin(page, 8000, /NS_ERROR_/, '127.0.0.1');
  await end();
});

test('a session keeps its proxy of a pool, and another one serves it while that fails', async () => {
  const { session, page, end } = await visitor({ proxy: 'both' });
  assert.deepEqual(session.proxy, { server: null, pool: 'both' });
  const first = await exitOf(page);
  assert.equal(await exitOf(page), first);
  const [own, other] = first === FROM.dante ? [proxies.dante, proxies.tinyproxy] : [proxies.tinyproxy, proxies.dante];
  own.kill();
  await own.exited;
  await change(session, 'both');
  assert.equal(await exitOf(page), other.from);
  await own.up();
  await end();
  const spinning = await visitor({ proxy: 'spinning' });
  const seen = new Set();
  for (let i = 0; i < 4; i += 1) {
    await change(spinning.session, 'spinning');
    seen.add(await exitOf(spinning.page));
  }
  assert.ok(seen.has(other.from), [...seen].join());
  await spinning.end();
});

test('a session that is rebuilt after a crash keeps its exit, and nothing of the old browser’s stays open', async () => {
  const { session, page, end } = await visitor({ proxy: proxies.tinyproxy.url });
  await page.goto(`http://${SHOP}:${site.port}/page`);
  await page.evaluate(() => void fetch('/endless'));
  await until(() => site.open(FROM.tinyproxy).connections > 0, 'the download to be open');
  const launches = egressSockets(server.runBase).map((socket) => path.dirname(socket));
  const mine = browsers(server.runBase).filter(({ env }) => launches.some((launch) => env.HOME.includes(launch)));
  for (const { pid } of mine) process.kill(pid, 'SIGKILL');
  await server.sessionThat(session, ({ restarts, status }) => restarts === 1 && status === 'READY', 'rebuilt', 40_000);
  await until(() => site.open(FROM.tinyproxy).connections === 0, 'the old connections to be closed');
  const client = await attach(server, session);
  assert.equal(await exitOf(await blankPage(client)), FROM.tinyproxy);
  await end();
});

test('hosts of block lists are refused at once, those of a request instead of the default', async () => {
  const { session, page, end } = await visitor({ proxy: proxies.dante.url, block: ['ads'] });
  assert.deepEqual(session.block, ['ads']);
  await failsWithin(page, 5000, /NS_ERROR_/, 'ads.example');
  await failsWithin(page, 5000, /NS_ERROR_/, 'www.ads.example');
  assert.equal(await exitOf(page), FROM.dante);
  const { refused } = (await server.session(session)).egress;
  assert.ok(refused.blocked >= 2 && refused.timed_out === undefined && refused.unresolved === undefined, JSON.stringify(refused));
  await end();
});

test('what a request can’t have is refused before a browser is taken', async () => {
  for (const [body, pattern] of [
    [{ proxy: 'nowhere' }, /no pool of proxies 'nowhere' here; RUNNER_PROXIES has both, spinning/],
    [{ proxy: 'ftp://me:s3same@a' }, /^proxy: must be a URL/],
    [{ block: ['trackers'] }, /RUNNER_EGRESS_LISTS has ads, phone_home/],
  ]) {
    const answer = await server.request('POST', '/sessions', { body });
    assert.equal(answer.status, 422, answer.text);
    assert.match(answer.json.detail, pattern);
    assert.ok(!answer.text.includes('s3same'));
  }
  const { session, end } = await visitor({});
  for (const body of [{}, { proxy: 'nowhere' }, { proxy: 5 }]) {
    const answer = await server.request('PATCH', `/sessions/local/${session.id}`, { body });
    assert.equal(answer.status, 422, answer.text);
  }
  assert.equal((await server.session(session)).proxy, null);
  await end();
});

test('a camofleet that is killed leaves no socket once the next has started', async () => {
  const first = await Server.start({ RUNNER_PREWARM_HEADLESS: '1' });
  try {
    await first.poolsFull();
    const sockets = () => egressSockets(first.runBase);
    assert.equal(sockets().length, 1);
    first.kill('SIGKILL');
    await first.awaitEnd();
    const next = await first.again({ RUNNER_PREWARM_HEADLESS: '0' });
    assert.deepEqual(sockets(), []);
    await next.stop();
  } finally {
    first.discard();
  }
});

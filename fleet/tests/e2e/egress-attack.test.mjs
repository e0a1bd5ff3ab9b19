/**
 * A hostile page in a session of a fleet without a token: it knows everything, and still nothing of the fleet
 * can be reached, whatever the page calls it.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import os from 'node:os';
import { after, before } from 'node:test';
import { NameServer } from './helpers/nameServer.mjs';
import { attach, blankPage } from './helpers/playwright.mjs';
import { marked } from './helpers/processes.mjs';
import { tinyproxy } from './helpers/proxies.mjs';
import { Server, test } from './helpers/server.mjs';
import { until, within } from './helpers/wait.mjs';

/** Tries to reach a port by every way that a page has; each result is "nothing", or what was reached. */
const ATTACK = `<!doctype html><title>attack</title><body><script>
  const soon = (promise) => Promise.race([promise, new Promise((end) => setTimeout(end, 5000, 'nothing'))]);
  const reached = (text) => 'reached: ' + String(text).slice(0, 60);
  const ways = {
    read: (host) => fetch('http://' + host + '/sessions').then((answer) => answer.text()).then(reached, () => 'nothing'),
    blind: (host) => fetch('http://' + host + '/sessions', { method: 'POST', mode: 'no-cors' }).then(reached, () => 'nothing'),
    redirect: (host) => fetch('/to?http://' + host + '/sessions', { mode: 'no-cors' }).then(reached, () => 'nothing'),
    socket: (host) => new Promise((end) => {
      const socket = new WebSocket('ws://' + host + '/events');
      socket.onopen = () => end(reached('open'));
      socket.onerror = () => end('nothing');
    }),
    events: (host) => new Promise((end) => {
      const source = new EventSource('http://' + host + '/events');
      source.onopen = () => end(reached('open'));
      source.onerror = () => (source.close(), end('nothing'));
    }),
    picture: (host) => new Promise((end) => {
      const image = new Image();
      image.onload = () => end(reached('a picture'));
      image.onerror = () => end('nothing');
      image.src = 'http://' + host + '/favicon.svg?' + Math.random();
    }),
  };
  window.attack = async (hosts) => {
    const got = [];
    await Promise.all(hosts.flatMap((host) => Object.entries(ways).map(async ([way, run]) => {
      const result = await soon(run(host));
      if (result !== 'nothing') got.push(host + ' by ' + way + ': ' + result);
    })));
    return got;
  };
</script>`;

/** The name that leads to the fleet, and the one whose address changes between two look-ups. */
const [NAMED, REBOUND] = ['fleet.evil.example', 'rebinding.evil.example'];

let evil, names, proxy;
before(async () => {
  names = await NameServer.start();
  names.setAddresses(NAMED, ['127.0.0.1']);
  evil = http.createServer((request, response) => {
    const [path, query = ''] = request.url.split('?');
    if (path === '/to') response.writeHead(302, { location: query }).end();
    else response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(ATTACK);
  });
  await new Promise((resolve) => evil.listen(0, '127.0.0.1', resolve));
  evil.port = evil.address().port;
  proxy = await tinyproxy({ from: '127.0.0.3', password: false });
});
after(async () => {
  evil?.closeAllConnections();
  evil?.close();
  names?.close();
  await proxy?.stop();
});

/** Every spelling of this machine's addresses, with a port. */
function spellings(port) {
  const own = Object.values(os.networkInterfaces()).flat().filter(({ internal }) => !internal);
  const addresses = own.map(({ address, family }) => (family === 'IPv6' ? `[${address.split('%')[0]}]` : address));
  const loopback = ['127.0.0.1', 'localhost', 'LOCALHOST.', 'a.localhost', '127.1', '127.0.0.2', '0x7f000001', '2130706433', '0177.0.0.1', '0.0.0.0', '0'];
  const six = ['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[::127.0.0.1]'];
  return [...loopback, ...six, ...addresses, NAMED].map((host) => `${host}:${port}`);
}

/** The TCP ports that processes of a fleet listen on. */
async function portsOf(server) {
  const { readFileSync, readdirSync, readlinkSync } = await import('node:fs');
  const inodes = new Set();
  for (const { pid } of marked(server.runBase)) {
    const read = (work) => {
      try {
        return work();
      } catch {
        // It was closed meanwhile, or its process has ended.
        return null;
      }
    };
    for (const name of read(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      const inode = /^socket:\[(\d+)\]$/.exec(read(() => readlinkSync(`/proc/${pid}/fd/${name}`)) ?? '')?.[1];
      if (inode) inodes.add(inode);
    }
  }
  const listeners = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/net/${table}`, 'utf8').split('\n').slice(1));
  const ports = listeners.map((line) => line.trim().split(/\s+/)).filter((fields) => fields[3] === '0A' && inodes.has(fields[9]));
  return [...new Set(ports.map((fields) => parseInt(fields[1].split(':')[1], 16)))];
}

/** What the page reached. */
function attacked(page, hosts) {
  return within(page.evaluate((hosts) => window.attack(hosts), hosts), `the attack on ${hosts} to be over`, 30_000);
}

/** Sends a form to a host, which navigates the page. */
async function sendForm(page, host) {
  await page.evaluate((host) => {
    const form = Object.assign(document.createElement('form'), { action: `http://${host}/sessions`, method: 'post' });
    document.body.append(form);
    form.submit();
  }, host);
  await until(() => page.title().then((title) => title !== 'attack', () => true), 'the form to be sent');
}

for (const level of ['no-fleet', 'public']) {
  test(`with ${level} a page reaches nothing of the fleet, by no name and no way`, async () => {
    const server = await Server.start({
      RUNNER_EGRESS: level,
      RUNNER_EGRESS_ALLOW: `127.0.0.1:${evil.port}`,
      RUNNER_EGRESS_NAME_SERVER: names.address,
    });
    try {
      const victim = await server.create({ vnc: true, start_url_wait: 'none' });
      const attacker = await server.create({ headless: true });
      const client = await attach(server, attacker);
      const page = await blankPage(client);
      const past = server.logLines().length;
      await page.goto(`http://127.0.0.1:${evil.port}/`);
      assert.deepEqual(await attacked(page, spellings(new URL(server.url).port)), []);
      // The driver's Playwright servers, the browsers' debugging ports, the live view.
      const ports = await portsOf(server);
      assert.ok(ports.length >= 4, `listening: ${ports}`);
      assert.deepEqual(await attacked(page, ports.map((port) => `127.0.0.1:${port}`)), []);
      assert.deepEqual(await attacked(page, ['169.254.169.254', '[fd00:ec2::254]']), []);
      await sendForm(page, new URL(server.url).host);
      for (const url of [`${server.url}/sessions`, `http://${NAMED}:${new URL(server.url).port}/sessions`]) {
        await assert.rejects(page.request.get(url, { timeout: 10_000 }), /EACCES/);
        await assert.rejects(page.goto(url), /NS_ERROR_/);
      }
      // The page's own name leads to its site first, and to the fleet later.
      names.setAddresses(REBOUND, ['127.0.0.1']);
      await page.goto(`http://${REBOUND}:${evil.port}/`);
      assert.deepEqual(await attacked(page, [`${REBOUND}:${new URL(server.url).port}`]), []);
      // By a proxy on this machine, to which the addresses lead as well.
      await server.request('PATCH', `/sessions/local/${attacker.id}`, { body: { proxy: { server: proxy.url } } });
      if (level === 'no-fleet') {
        await page.goto(`http://127.0.0.1:${evil.port}/`);
        const literal = spellings(new URL(server.url).port).filter((host) => !host.startsWith(NAMED));
        assert.deepEqual(await attacked(page, literal), []);
      } else {
        // The proxy itself is no public address.
        await assert.rejects(page.goto(`http://127.0.0.1:${evil.port}/`), /NS_ERROR_/);
      }
      // Nothing but the test's own requests came to the fleet.
      const requests = server.logLines().slice(past).filter((line) => / (GET|POST|DELETE|OPTIONS|WS) \/(sessions|events|favicon)/.test(line));
      assert.deepEqual(requests.filter((line) => !/ (GET|PATCH|WS) \/sessions\/local\//.test(line)), []);
      assert.deepEqual((await server.sessions()).map(({ id }) => id).sort(), [victim.id, attacker.id].sort());
      const { refused } = (await server.session(attacker)).egress;
      assert.ok(refused[level === 'public' ? 'not_public' : 'fleet'] > 50 && refused.link_local > 0, JSON.stringify(refused));
      await client.close();
      await server.stop();
    } finally {
      server.discard();
    }
  });
}

test('an address whose name answers differently the second time is judged when it is dialled', async () => {
  const server = await Server.start({ RUNNER_EGRESS: 'public', RUNNER_EGRESS_NAME_SERVER: names.address, RUNNER_EGRESS_CONNECT_SECONDS: '2' });
  try {
    const session = await server.create({ headless: true });
    const client = await attach(server, session);
    const page = await blankPage(client);
    // A public address first, at which nothing answers here, and a private one beside it.
    for (const addresses of [['203.0.113.1'], ['127.0.0.1'], ['10.0.0.1', '127.0.0.1'], ['169.254.169.254']]) {
      names.setAddresses(REBOUND, addresses);
      await assert.rejects(page.goto(`http://${REBOUND}:${new URL(server.url).port}/sessions`), /NS_ERROR_/);
    }
    const { refused } = (await server.session(session)).egress;
    assert.ok(refused.not_public >= 2 && refused.link_local >= 1, JSON.stringify(refused));
    await client.close();
    await server.stop();
  } finally {
    server.discard();
  }
});

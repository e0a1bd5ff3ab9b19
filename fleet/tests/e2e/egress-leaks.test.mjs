/**
 * Nothing of a browser leaves by another way than its exit: in a network namespace whose only way out is an
 * interface that counts packets.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ExitSite } from './helpers/exitSite.mjs';
import { attach, blankPage } from './helpers/playwright.mjs';
import { freePort } from './helpers/ports.mjs';
import { dante } from './helpers/proxies.mjs';
import { Ranges } from './helpers/ranges.mjs';
import { Server, temporaryDirectory, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

const SELF = fileURLToPath(import.meta.url);
/** Addresses of documentation (RFC 5737, RFC 3849): nothing answers there. */
const [OWN, OWN_V6, NAME_SERVER, STRANGER, STRANGER_V6] = ['198.51.100.2', '2001:db8::2', '198.51.100.53', '203.0.113.9', '2001:db8:1::9'];
/** An address that nothing has tried before. */
const FRESH = '203.0.113.20';
/** After this time a look-up that was not answered is not repeated any more. */
const REPEATED_MS = 6000;

/** What a page can do to make its browser use the network, each with a name of its own. */
const ATTEMPTS = `<!doctype html><title>leaks</title>
<link rel="dns-prefetch" href="//prefetched.example"><link rel="preconnect" href="https://preconnected.example">
<img src="http://image.example/a.png"><a href="http://linked.example/">a link</a>
<script>
  const addresses = ['${STRANGER}', '[${STRANGER_V6}]', 'named.example', 'a.local'];
  const attempts = [];
  for (const host of addresses) {
    attempts.push(fetch('http://' + host + '/', { mode: 'no-cors' }), fetch('https://' + host + '/', { mode: 'no-cors' }));
    attempts.push(new Promise((end) => (new WebSocket('ws://' + host + ':81/').onerror = end)));
    attempts.push(new Promise((end) => {
      const source = new EventSource('http://' + host + ':82/');
      source.onerror = () => (source.close(), end());
    }));
    navigator.sendBeacon('http://' + host + ':83/', 'x');
    if (window.WebTransport) {
      try {
        attempts.push(new WebTransport('https://' + host + ':4433/').ready);
      } catch {}
    }
  }
  const candidates = [];
  attempts.push(new Promise((end) => {
    if (!window.RTCPeerConnection) return end();
    const peer = new RTCPeerConnection({ iceServers: [
      { urls: ['stun:${STRANGER}:3478', 'stun:stun.example:3478'] },
      { urls: ['turn:${STRANGER}:3479', 'turn:turn.example:3479?transport=udp'], username: 'a', credential: 'b' },
    ] });
    peer.createDataChannel('a');
    peer.onicecandidate = ({ candidate }) => (candidate ? candidates.push(candidate.candidate) : end());
    peer.createOffer().then((offer) => peer.setLocalDescription(offer));
    setTimeout(end, 6000);
  }));
  window.over = Promise.allSettled(attempts).then(() => ({ webrtc: Boolean(window.RTCPeerConnection), candidates }));
</script>`;

/** Counts the packets that leave by an interface. */
class Packets {
  lines = [];

  static async of(name) {
    const packets = new Packets();
    packets.process = spawn('python3', [fileURLToPath(new URL('helpers/packets.py', import.meta.url)), name], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: packets.process.stdout }).on('line', (line) => packets.lines.push(line));
    await until(() => packets.lines.includes('ready'), 'the packets to be counted');
    return packets;
  }

  /** Those of connections and look-ups, without what the kernel says to its neighbours. */
  get traffic() {
    return this.lines.filter((line) => /^(tcp|udp) /.test(line) && !/^udp (ff02|224\.)/.test(line));
  }

  async stop() {
    this.process.stdin.end();
    await once(this.process, 'exit');
  }
}

/** Builds the network of the namespace: loopback, and an interface to nowhere with all routes and the name server. */
function network(directory) {
  const ip = (...args) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  ip('link', 'set', 'lo', 'up');
  ip('link', 'add', 'out', 'type', 'veth', 'peer', 'name', 'nowhere');
  // Nobody has to answer for an address before packets to it are sent.
  ip('link', 'set', 'out', 'arp', 'off');
  ip('link', 'set', 'nowhere', 'up');
  ip('address', 'add', `${OWN}/24`, 'dev', 'out');
  ip('-6', 'address', 'add', `${OWN_V6}/64`, 'dev', 'out', 'nodad');
  ip('link', 'set', 'out', 'up');
  ip('route', 'add', 'default', 'dev', 'out');
  ip('-6', 'route', 'add', 'default', 'dev', 'out');
  const resolver = path.join(directory, 'resolv.conf');
  fs.writeFileSync(resolver, `nameserver ${NAME_SERVER}\n`);
  execFileSync('mount', ['--bind', resolver, fs.realpathSync('/etc/resolv.conf')]);
}

if (process.env.CAMOFLEET_TEST_NAMESPACE) {
  test('not a packet of a browser leaves beside its exit', async () => {
    const directory = temporaryDirectory();
    network(directory);
    const [site, packets] = [await ExitSite.open({ '/leaks': ATTEMPTS }), await Packets.of('out')];
    const proxy = await dante({ from: '127.0.0.2', names: { 'shop.example': '127.0.0.1' } });
    const server = await Server.start({
      // Nobody outside knows what is claimed here, but displays are in /tmp, which is the same.
      RUNNER_VNC_DISPLAY_MIN: process.env.CAMOFLEET_TEST_NAMESPACE,
      RUNNER_PREWARM_HEADLESS: '1',
      RUNNER_DISABLE_WEBRTC: 'false',
      RUNNER_DISABLE_IPV6: 'false',
      RUNNER_DISABLE_HTTP3: 'false',
      // What Firefox itself calls goes to the proxy too.
      RUNNER_EGRESS_BLOCK: '',
      RUNNER_EGRESS_CONNECT_SECONDS: '2',
    });
    try {
      await server.poolsFull();
      // A warm browser is on its own for a while.
      await delay(5000);
      assert.deepEqual(packets.traffic, []);
      const session = await server.create({ headless: true, proxy: proxy.url });
      const page = await blankPage(await attach(server, session));
      await page.goto(`http://shop.example:${site.port}/leaks`);
      const { webrtc, candidates } = await page.evaluate(() => window.over);
      assert.ok(webrtc, 'WebRTC is on');
      assert.deepEqual(candidates.filter((candidate) => candidate), []);
      const { totals } = await server.read(`/sessions/local/${session.id}/egress`);
      const refused = Object.values(totals.refused).reduce((sum, count) => sum + count, 0);
      assert.ok(refused >= 20, `the attempts came to the egress: ${JSON.stringify(totals)}`);
      // All that left is what Dante itself tried for them.
      const byDante = packets.traffic.filter((line) => !line.startsWith('tcp') && !line.includes(NAME_SERVER));
      assert.deepEqual(byDante, []);
      const leaveBy = (exit) => server.request('PATCH', `/sessions/local/${session.id}`, { body: { proxy: exit } });
      const connect = () => page.evaluate((host) => fetch(`http://${host}/`, { mode: 'no-cors' }).then(() => 'connected', () => 'failed'), FRESH);
      // Nor does any by itself where the exit fails: nothing listens there, it wants another password, or never answers.
      const silent = net.createServer(() => {}).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const failing = [`socks5://127.0.0.1:${await freePort()}`, proxy.url.replace(/:[^:@]*@/, ':wrong@'), `http://127.0.0.1:${silent.address().port}`];
      // What Dante has tried is repeated for a while: look-ups for seconds, connections for minutes.
      const others = () => packets.traffic.filter((line) => !line.includes(STRANGER) && !line.includes(STRANGER_V6));
      let [count, since] = [-1, 0];
      await until(() => {
        if (others().length !== count) [count, since] = [others().length, Date.now()];
        return Date.now() - since > REPEATED_MS;
      }, 'the last look-up', 40_000);
      for (const exit of failing) {
        assert.equal((await leaveBy(exit)).status, 200);
        const before = others().length;
        assert.equal(await connect(), 'failed', exit);
        assert.deepEqual(others().slice(before), [], exit);
      }
      silent.close();
      await leaveBy('direct');
      await connect();
      await until(() => packets.lines.includes(`tcp ${FRESH} 80`), 'the packets to be counted');
      await server.end(session);
      await server.stop();
    } finally {
      server.discard();
      await Promise.all([proxy.stop(), site.close(), packets.stop()]);
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });
} else {
  const namespace = ['--net', '--mount', ...(process.getuid() === 0 ? [] : ['--map-root-user'])];
  const allowed = spawnSync('unshare', [...namespace, 'true']).status === 0;
  test(
    'nothing of a browser leaves by another way than its exit',
    async () => {
      const ranges = await Ranges.claim();
      const child = spawn('unshare', [...namespace, process.execPath, '--test-reporter=spec', SELF], {
        env: { ...process.env, CAMOFLEET_TEST_NAMESPACE: String(ranges.displays.first), NODE_TEST_CONTEXT: undefined },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
      const [status] = await once(child, 'close');
      ranges.release();
      assert.equal(status, 0, said);
    },
    { skip: !allowed && 'network namespaces are not allowed here', timeout: 120_000 },
  );
}

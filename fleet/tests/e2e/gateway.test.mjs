/** The role gateway as a process: which views it serves, what it refuses, and its timeouts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Camofleet, test } from './helpers/camofleet.mjs';
import { openSocket } from './helpers/http.mjs';
import { until, within } from './helpers/wait.mjs';

const GREETING = 'RFB 003.008\n';

/** A minimal VNC server: it sends a greeting and echoes everything. */
async function vncServer(greeting = GREETING) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.write(greeting);
    socket.pipe(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: server.address().port, sockets, close };
}

/** Opens a view and reads its greeting. */
async function view(url, options) {
  const received = [];
  const opened = await openSocket(url, { ...options, onMessage: (data) => received.push(data) });
  const heard = () => Buffer.concat(received).toString();
  if (opened.socket) await until(() => heard().endsWith('\n'), 'the greeting');
  return { ...opened, heard, greeting: heard() };
}

/** Expects that a view is refused before the upgrade; returns the response. */
async function isRefused(url, status, code, options) {
  const { refusal } = await openSocket(url, options);
  assert.deepEqual([refusal?.status, refusal?.json.code], [status, code]);
  assert.match(refusal.headers['content-type'], /^application\/json/);
  assert.equal(typeof refusal.json.detail, 'string');
  return refusal;
}

/** A gateway whose first id, 7000, belongs to a VNC server. */
function startGateway(vnc, settings = {}) {
  return Camofleet.start('gateway', { VNC_WEB_RANGE: '7000-7004', VNC_BASE_PORT: String(vnc.port), ...settings });
}

let vnc;
before(async () => (vnc = await vncServer()));
after(() => vnc?.close());

/** Runs a body with its own gateway. */
const withGateway = (settings, body) => async (context) => {
  const gateway = await startGateway(vnc, settings);
  try {
    await body(gateway, context);
    await gateway.stop();
  } finally {
    gateway.discard();
  }
};

describe('a gateway', () => {
  let gateway, named;
  before(async () => {
    named = await vncServer('RFB 003.003\n');
    const server = { host: '127.0.0.1', port: named.port };
    gateway = await startGateway(vnc, { VNC_MAP_JSON: JSON.stringify({ 7001: server, lobby: server }) });
  });
  after(async () => {
    await gateway?.stop();
    named?.close();
  });

  test('the page is at the id, below it, and wherever an ingress has stripped the prefix', async () => {
    const page = await gateway.request('GET', '/vnc/7000');
    assert.equal(page.status, 200);
    assert.match(page.headers['content-type'], /^text\/html/);
    assert.match(page.text, /live view/);
    for (const [route, headers] of [
      ['/vnc/7000/', {}],
      ['/vnc/7000/vnc.html', {}],
      ['/', { 'x-forwarded-prefix': '/vnc/7000' }],
      ['/vnc.html', { 'x-forwarded-prefix': '/fleet/vnc/7000' }],
    ]) {
      const answer = await gateway.request('GET', route, { headers });
      assert.deepEqual([answer.status, answer.text === page.text], [200, true], route);
    }
    const bare = await gateway.request('GET', '/');
    assert.deepEqual([bare.status, bare.json.code], [404, 'not_found']);
  });

  test('a view is found by token, path or stripped prefix, with the offered subprotocol', async () => {
    for (const [route, options, protocol] of [
      ['/websockify?token=7000', {}, ''],
      ['/websockify?token=7000', { protocols: ['binary'] }, 'binary'],
      ['/websockify?token=7000', { protocols: ['base64', 'binary'] }, 'binary'],
      ['/vnc/7000/websockify', { protocols: ['binary'] }, 'binary'],
      ['/websockify', { headers: { 'x-forwarded-prefix': '/vnc/7000' } }, ''],
    ]) {
      const { socket, heard, greeting, closed } = await view(gateway.wsUrl + route, options);
      assert.deepEqual([socket.protocol, greeting], [protocol, GREETING], route);
      socket.send(Buffer.from('hello\n'));
      await until(() => heard() === `${GREETING}hello\n`, 'the echo');
      socket.close();
      await within(closed, 'the viewer to be gone');
    }
    await until(() => vnc.sockets.size === 0, 'the connections to the server to be gone', 2000);
  });

  test('a server in VNC_MAP_JSON takes precedence over the range, and its id need not be a number', async () => {
    for (const id of ['7001', 'lobby']) {
      const { socket, greeting, closed } = await view(`${gateway.wsUrl}/websockify?token=${id}`);
      assert.equal(greeting, 'RFB 003.003\n');
      socket.close();
      await within(closed, 'the viewer to be gone');
    }
  });

  test('an unknown id is refused', async () => {
    for (const route of ['/websockify?token=6999', '/websockify?token=7005', '/websockify?token=attic', '/websockify', '/vnc/7005/websockify']) {
      await isRefused(gateway.wsUrl + route, 404, 'vnc_not_found');
    }
    const plain = await gateway.request('GET', '/websockify?token=7000');
    assert.deepEqual([plain.status, plain.json.code], [400, 'bad_websocket_handshake']);
    await isRefused(`${gateway.wsUrl}/sessions/local/1/ws`, 404, 'not_found');
  });

  test('it has health and metrics', async () => {
    await until(async () => (await gateway.read('/health')).checks.tunnels === '0 open', 'the tunnels of other tests to be gone');
    const { socket } = await view(`${gateway.wsUrl}/websockify?token=7000`);
    assert.deepEqual((await gateway.read('/health')).checks, { tunnels: '1 open' });
    assert.equal((await gateway.metrics()).value('camofleet_tunnels'), 1);
    socket.close();
    await until(async () => (await gateway.metrics()).value('camofleet_tunnels') === 0, 'the tunnel to be gone', 2000);
  });

  test('a viewer is closed with 1011 when its server disconnects', async () => {
    const { closed } = await view(`${gateway.wsUrl}/websockify?token=7000`);
    for (const socket of vnc.sockets) socket.destroy();
    const { code, reason } = await within(closed, 'the viewer to be told');
    assert.equal(code, 1011);
    assert.match(reason, /VNC server/);
  });
});

test(
  'with MAX_CONCURRENT_SESSIONS=1 a second viewer is refused with Retry-After, and accepted when the first has left',
  withGateway({ MAX_CONCURRENT_SESSIONS: '1' }, async ({ wsUrl }) => {
    const url = `${wsUrl}/websockify?token=7000`;
    const { socket } = await view(url);
    const refusal = await isRefused(url, 503, 'tunnel_limit');
    assert.match(refusal.headers['retry-after'], /^[1-9]\d*$/);
    socket.close();
    const second = await until(async () => (await view(url)).socket, 'the second viewer to get in', 2000);
    second.close();
  }),
);

test(
  'VNC_DEFAULT_HOST is the host of the range\'s servers, and one that refuses connections is a 502',
  // Also loopback, but nothing listens on this port.
  withGateway({ VNC_DEFAULT_HOST: '127.0.0.2', TCP_CONNECT_TIMEOUT_MS: '500' }, async ({ wsUrl }) => {
    await isRefused(`${wsUrl}/websockify?token=7000`, 502, 'upstream_unreachable');
    const elsewhere = net.createServer((socket) => socket.end('RFB 003.889\n').on('error', () => {}));
    await once(elsewhere.listen(vnc.port, '127.0.0.2'), 'listening');
    const { greeting } = await view(`${wsUrl}/websockify?token=7000`);
    assert.equal(greeting, 'RFB 003.889\n');
    elsewhere.close();
  }),
);

/**
 * A server that does not even refuse: it is stopped with a full accept queue, so Linux drops further
 * handshakes.
 */
async function fullServer() {
  const script = "const s = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(s.address().port))";
  const server = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = Number((await once(server.stdout, 'data')).toString());
  server.kill('SIGSTOP');
  const waiting = [];
  for (let isIn = true; isIn; ) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    waiting.push(socket);
    await Promise.race([once(socket, 'connect'), delay(1000)]);
    // What has arrived comes before the timeout.
    await new Promise((resolve) => setImmediate(resolve));
    isIn = !socket.connecting;
  }
  const close = () => {
    server.kill('SIGKILL');
    for (const socket of waiting) socket.destroy();
  };
  return { port, close };
}

test('TCP_CONNECT_TIMEOUT_MS: a server that does not accept in time is a 504', async () => {
  const full = await fullServer();
  const gateway = await startGateway(full, { TCP_CONNECT_TIMEOUT_MS: '400' });
  try {
    const started = Date.now();
    await isRefused(`${gateway.wsUrl}/websockify?token=7000`, 504, 'upstream_timed_out');
    const took = Date.now() - started;
    assert.ok(took >= 390 && took < 1500, `${took} ms`);
    await gateway.stop();
  } finally {
    gateway.discard();
    full.close();
  }
});

test(
  'TCP_IDLE_TIMEOUT_MS: an idle view is closed, an active one is not',
  withGateway({ TCP_IDLE_TIMEOUT_MS: '5000' }, async ({ wsUrl }) => {
    const started = Date.now();
    const [idle, busy] = [await view(`${wsUrl}/websockify?token=7000`), await view(`${wsUrl}/websockify?token=7000`)];
    const typing = setInterval(() => busy.socket.send(Buffer.from('x')), 200);
    const { code, reason } = await within(idle.closed, 'the idle view to be closed', 8000);
    assert.equal(code, 1011);
    assert.match(reason, /idle for too long/);
    assert.ok(Date.now() - started >= 4900);
    assert.equal(busy.socket.readyState, busy.socket.OPEN);
    clearInterval(typing);
    busy.socket.close();
  }),
);

test(
  'WS_READ_TIMEOUT_MS: a viewer that answers no pings is disconnected, one that does stays',
  withGateway({ WS_READ_TIMEOUT_MS: '6000', CONTROL_WS_PING_SECONDS: '1' }, async (gateway) => {
    const polite = await view(`${gateway.wsUrl}/websockify?token=7000`);
    const { port } = new URL(gateway.url);
    const started = Date.now();
    const dead = net.connect(Number(port), '127.0.0.1');
    const [closed, read] = [once(dead, 'close'), []];
    dead.on('data', (bytes) => read.push(bytes));
    dead.write(
      'GET /websockify?token=7000 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    await until(() => Buffer.concat(read).includes(GREETING), 'the greeting');
    await within(closed, 'the dead viewer to be disconnected', 9000);
    assert.ok(Date.now() - started >= 5900);
    assert.equal(polite.socket.readyState, polite.socket.OPEN);
    polite.socket.close();
    await until(() => vnc.sockets.size === 0, 'the connections to the server to be gone', 2000);
  }),
);

test('WS_WRITE_TIMEOUT_MS: a viewer that does not read is disconnected', async () => {
  // This server answers any message with endless data.
  const flood = net.createServer((socket) => {
    const picture = Buffer.alloc(1 << 16);
    const send = () => {
      while (!socket.destroyed && socket.write(picture));
    };
    socket.on('error', () => {});
    socket.on('drain', send);
    send();
  });
  await once(flood.listen(0, '127.0.0.1'), 'listening');
  const gateway = await startGateway({ port: flood.address().port }, { WS_WRITE_TIMEOUT_MS: '4000' });
  try {
    const { port } = new URL(gateway.url);
    const deaf = net.connect(Number(port), '127.0.0.1');
    deaf.pause();
    const started = Date.now();
    deaf.write(
      'GET /websockify?token=7000 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    const tunnels = async () => (await gateway.read('/health')).checks.tunnels;
    await until(async () => (await tunnels()) === '1 open', 'the tunnel to be open');
    await until(async () => (await tunnels()) === '0 open', 'the viewer to be given up', 9000);
    assert.ok(Date.now() - started >= 3900, 'not before its time');
    deaf.destroy();
    await gateway.stop();
  } finally {
    gateway.discard();
    flood.close();
  }
});

test('SHUTDOWN_GRACE_MS: open views continue for that time, new ones are refused, and then all are closed with a reason', async () => {
  const gateway = await startGateway(vnc, { SHUTDOWN_GRACE_MS: '6000' });
  try {
    const url = `${gateway.wsUrl}/websockify?token=7000`;
    const open = await view(url);
    const started = Date.now();
    gateway.kill('SIGTERM');
    await until(async () => (await openSocket(url)).refusal?.json.code === 'draining', 'new viewers to be refused', 1000);
    await isRefused(url, 503, 'draining');
    open.socket.send(Buffer.from('still here\n'));
    await until(() => open.heard().includes('still here'), 'the open view to continue', 1000);
    const { code, reason } = await within(open.closed, 'the viewer to be told', 8500);
    assert.ok(Date.now() - started >= 5900, 'not before the grace is over');
    assert.equal(code, 1011);
    assert.match(reason, /shutting down/);
    assert.deepEqual(await gateway.awaitEnd(2000), { code: 0, signal: null });
  } finally {
    gateway.discard();
  }
});

test('a gateway without viewers stops at once', async () => {
  const gateway = await startGateway(vnc);
  const started = Date.now();
  await gateway.stop();
  assert.ok(Date.now() - started < 1500);
});

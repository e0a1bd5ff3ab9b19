/** Viewers of a screen are limited, each refused or disconnected with a reason, and don't affect each other. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { openSocket } from './helpers/http.mjs';
import { connectionsTo, residentBytes } from './helpers/processes.mjs';
import { Viewer } from './helpers/rfb.mjs';
import { Server, test } from './helpers/server.mjs';
import { until, within } from './helpers/wait.mjs';

const MEBIBYTE = 1 << 20;
/** How much a process may grow by what the limits don't cover. */
const SLACK = 24 * MEBIBYTE;

/** A connection that sends only these bytes. */
async function connection(port, bytes = '') {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(bytes);
  return socket;
}

for (const backend of ['xvnc', 'x11vnc']) {
  describe(`the viewers of a screen with ${backend}`, () => {
    let server, session, port;
    before(async () => {
      server = await Server.start({ RUNNER_VNC_BACKEND: backend, RUNNER_VNC_VIEWERS: '16' });
      session = await server.create({ vnc: true });
      port = server.ranges.ports.first;
    });
    after(() => server?.stop());
    const connect = () => Viewer.connectTo('127.0.0.1', port);

    test(`${backend}: connections that send nothing, or break, affect nobody`, async () => {
      const started = Date.now();
      const silent = await Promise.all(Array.from({ length: 400 }, () => connection(port)));
      const xServer = server.xServerOf(session).pid;
      const before = residentBytes(xServer);
      for (const word of ['', 'GET / HTTP/1.1\r\n\r\n', 'RFB 003.008\n']) {
        for (let count = 0; count < 8; count += 1) (await connection(port, word)).destroy();
      }
      const viewer = await connect();
      assert.ok(Date.now() - started < 8000, 'a viewer is accepted before any of them has timed out');
      await viewer.close();
      assert.ok(residentBytes(xServer) - before < SLACK, 'the X server does not grow by silent connections');
      for (const socket of silent) socket.destroy();
    });

    test(`${backend}: of 20 concurrent viewers as many are accepted as allowed, and the others get the reason`, async () => {
      const comeAll = async () => {
        const viewers = await Promise.allSettled(Array.from({ length: 20 }, connect));
        const inside = viewers.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
        const reasons = viewers.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.message);
        assert.ok(inside.length <= 16, `${inside.length} got in`);
        if (inside.length === 16) return { inside, reasons };
        // A viewer of the previous test may take a moment to release its place.
        await Promise.all(inside.map((viewer) => viewer.close()));
        return null;
      };
      const { inside, reasons } = await until(comeAll, '16 of 20 viewers to get in');
      assert.equal(reasons.length, 4);
      for (const reason of reasons) assert.match(reason, /16 viewers already.*RUNNER_VNC_VIEWERS/);
      await inside.pop().close();
      inside.push(await until(() => connect().catch(() => null), 'the place of the one who left'));
      await Promise.all(inside.map((viewer) => viewer.close()));
    });

    test(`${backend}: a clipboard text that declares too large a size is refused before it is sent`, async () => {
      // Those of the previous test may take a moment to release their places.
      const raw = await until(() => connect().catch(() => null), 'a place for a viewer');
      raw.say([6, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]);
      await within(raw.closed, 'the raw connection to be closed');
      const tunnel = await Viewer.connect(server.wsUrl + session.vnc.ws);
      tunnel.say([6, 0, 0, 0, 0x80, 0, 0, 1]);
      const { code, reason } = await within(tunnel.closed, 'the tunnel to be closed');
      assert.equal(code, 1011);
      assert.match(reason, /clipboard text of 2147483647 bytes is longer/);
    });
  });
}

describe('a live view', () => {
  let server, session;
  before(async () => {
    server = await Server.start({ RUNNER_VNC_VIEWERS: '1', RUNNER_VNC_WRITE_TIMEOUT_SECONDS: '3' });
    session = await server.create({ vnc: true });
  });
  after(() => server?.stop());
  const view = () => server.wsUrl + session.vnc.ws;

  test('a frame that declares 2^62 bytes is refused with 1009 before any of them is buffered', async () => {
    const { socket, closed } = await openSocket(view());
    const before = residentBytes(server.pid);
    const connection = socket._socket;
    connection.write(Buffer.from([0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]));
    connection.on('error', () => {});
    for (let count = 0; count < 64 && !connection.destroyed; count += 1) {
      connection.write(Buffer.alloc(MEBIBYTE));
      await delay(1);
    }
    const { code, reason } = await within(closed, 'the socket to be closed');
    assert.deepEqual([code, reason], [1009, 'a message may have 4194304 bytes']);
    const grown = residentBytes(server.pid) - before;
    assert.ok(grown < SLACK, `it grew by ${grown} bytes`);
  });

  test('it is shown without a TCP connection to its VNC port, and counts among the viewers of the port', async () => {
    const port = server.ranges.ports.first;
    const viewer = await until(() => Viewer.connect(view()).catch(() => null), 'a place');
    await viewer.pixels(0, 0, 64, 64);
    await until(() => connectionsTo(port) === 0, 'no client of the port: camofleet is none itself');
    await assert.rejects(Viewer.connectTo('127.0.0.1', port), /1 viewers already/);
    await viewer.close();
    const raw = await until(() => Viewer.connectTo('127.0.0.1', port).catch(() => null), 'the place of the one who left');
    await until(() => connectionsTo(port) === 1, 'one client of the port, which is there for others');
    await raw.close();
  });

  test('a viewer that reads nothing is disconnected, and its place is free for another', async () => {
    const everything = [3, 0, 0, 0, 0, 0, 0x07, 0x80, 0x04, 0x38];
    for (const connect of [() => Viewer.connectTo('127.0.0.1', server.ranges.ports.first), () => Viewer.connect(view())]) {
      const lazy = await until(() => connect().catch(() => null), 'a place');
      lazy.pause();
      // Raw pixels of the whole screen, until all buffers on the path are full.
      const asking = setInterval(() => lazy.say(everything), 20);
      await assert.rejects(connect(), /1 viewers already/);
      await (await until(() => connect().catch(() => null), 'the lazy one to be disconnected')).close();
      clearInterval(asking);
      lazy.drop();
    }
  });

  test('a viewer gets a reason when its VNC server reads nothing', async () => {
    const viewer = await until(() => Viewer.connect(view()).catch(() => null), 'a place');
    const { pid } = server.xServerOf(session);
    process.kill(pid, 'SIGSTOP');
    try {
      const text = Buffer.concat([Buffer.from([6, 0, 0, 0, 0, 0x10, 0, 0]), Buffer.alloc(MEBIBYTE, 'x')]);
      for (let count = 0; count < 8; count += 1) viewer.say(text);
      const { code, reason } = await within(viewer.closed, 'the viewer to be disconnected');
      assert.equal(code, 1011);
      assert.match(reason, /VNC server/);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
});

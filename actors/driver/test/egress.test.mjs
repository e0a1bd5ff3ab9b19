/** The way of the driver's own requests: a SOCKS server on a Unix socket. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { byEgress } from '../lib/egress.mjs';

test('a name that is too long for a request is refused, rather than taken for another one and a message to it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'egress-'));
  const path = join(directory, 'egress.sock');
  const sockets = [];
  const egress = net.createServer((socket) => {
    sockets.push(socket);
    socket.received = Buffer.alloc(0);
    socket.on('data', (data) => {
      socket.received = Buffer.concat([socket.received, data]);
      socket.end(Buffer.from([5, 0, 5, 4, 0, 1, 0, 0, 0, 0, 0, 0]));
    });
  });
  egress.listen(path);
  await once(egress, 'listening');
  try {
    for (const [module, length] of [[http, 256], [http, 300], [https, 300], [http, 65_536 + 9]]) {
      const url = new URL(`${module === https ? 'https' : 'http'}://127.0.0.1${'a'.repeat(length - 9)}/`);
      const [error] = await once(module.request(url, byEgress({}, path, module === https)).end(), 'error');
      assert.equal(error.code, 'ENOTFOUND', error.message);
      assert.deepEqual(sockets, [], `${length}`);
    }
    const longest = 'a'.repeat(255);
    await once(http.request(new URL(`http://${longest}/`), byEgress({}, path, false)).end(), 'error');
    assert.equal(sockets[0].received.subarray(8, 8 + 255).toString(), longest);
  } finally {
    egress.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

/** The memory of a flood of clients is released afterwards. */
import { once } from 'node:events';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Camofleet } from './helpers/camofleet.mjs';
import { residentBytes } from './helpers/processes.mjs';
import { test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

const CLIENTS = 1000;
const MEGABYTE = 1 << 20;
/** Just below the limit of a body. */
const BODY = Buffer.alloc(60_000, ' ');

/** A client that has sent its body except for the end. */
async function unfinished(port) {
  const socket = net.connect(port, '127.0.0.1').on('error', () => {});
  await once(socket, 'connect');
  socket.write(`POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length + 1}\r\n\r\n`);
  await new Promise((resolve) => socket.write(BODY, resolve));
  return socket;
}

test('the memory of a thousand clients that sent large bodies is released seconds after they have disconnected', async (context) => {
  const control = await Camofleet.start('control', { CONTROL_WORKERS: '[{"name": "nowhere", "url": "http://127.0.0.1:1"}]' }, { healthy: false });
  try {
    const megabytes = () => residentBytes(control.pid) / MEGABYTE;
    const before = megabytes();
    const port = Number(new URL(control.url).port);
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => unfinished(port)));
    const half = (CLIENTS * BODY.length) / MEGABYTE / 2;
    await until(() => megabytes() - before > half, `it to grow by ${half} MB`);
    await delay(500);
    const grown = megabytes() - before;
    for (const client of clients) client.destroy();
    const left = () => megabytes() - before;
    await until(() => left() < grown / 2, 'the memory to be given back', 25_000).catch((error) => {
      throw new Error(`${error.message}: of ${grown} MB ${left()} are left`, { cause: error });
    });
    context.diagnostic(`of ${grown.toFixed(0)} MB ${left().toFixed(0)} are left`);
  } finally {
    await control.stop();
  }
});

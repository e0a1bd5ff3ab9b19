/** Plain clients of a browser's SOCKS server, in addition to the browser. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { launchDirectories } from './processes.mjs';

/** The length of both answers to a connection that is accepted (RFC 1928). */
const ANSWERS = 12;

/** The egress sockets of a camofleet, one for each launch. */
export function egressSockets(runBase) {
  const sockets = launchDirectories(runBase).map((directory) => path.join(directory, 'egress.sock'));
  return sockets.filter((socket) => fs.existsSync(socket));
}

/**
 * Connects to a port of loopback through an egress.
 *
 * @param {string} socket the egress' socket
 * @param {number} port the port
 * @returns {Promise<net.Socket>} the connection, paused
 */
export async function connectThrough(socket, port) {
  const client = net.connect(socket).on('error', () => {});
  client.write(Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]));
  let answers = Buffer.alloc(0);
  while (answers.length < ANSWERS) {
    await new Promise((resolve) => client.once('readable', resolve).once('close', resolve));
    const part = client.read();
    if (part) answers = Buffer.concat([answers, part]);
    else if (client.destroyed) throw new Error('the egress closed the connection');
  }
  if (answers[3] !== 0) throw new Error(`the egress refused: ${answers[3]}`);
  return client;
}

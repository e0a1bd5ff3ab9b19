/**
 * Limits the partially received messages of a session's clients: the WebSocket library buffers fragments
 * until the message is complete, up to 100 MiB per client.
 */
import { log } from './output.mjs';

/** The limit of a session's incomplete messages together, in bytes. One message of 100 MiB fits. */
const MOST = 128 << 20;
/** The overhead of a fragment. */
const PIECE = 256;
/** How long a disconnected client may take to answer the close, in milliseconds. */
const CLOSE_PATIENCE_MS = 2_000;

/** The size of each client's incomplete message, in bytes. */
const incomplete = new WeakMap();

/**
 * Watches a client's data; above the limit the client of the session with the largest incomplete message is
 * disconnected.
 *
 * @param {object} socket a WebSocket of the `ws` library, just connected
 * @param {Set<object>} clients all sockets of the session
 * @returns {void}
 */
export function limitIncoming(socket, clients) {
  socket._socket.on('data', () => {
    const receiver = socket._receiver;
    if (!receiver) return;
    const pieces = receiver._buffers.length + receiver._fragments.length;
    incomplete.set(socket, receiver._bufferedBytes + receiver._messageLength + pieces * PIECE);
    const held = (client) => incomplete.get(client) ?? 0;
    let all = 0;
    let largest = socket;
    for (const client of clients) {
      all += held(client);
      if (held(client) > held(largest)) largest = client;
    }
    if (all > MOST) drop(largest, held(largest));
  });
}

/** Stops reading from a client, frees its incomplete message, and closes its connection. */
function drop(socket, held) {
  log(`a client was disconnected: the incomplete messages of its session exceed ${MOST >> 20} MiB, and its own have ${held >> 20} MiB`);
  incomplete.delete(socket);
  const { _socket: connection, _receiver: receiver } = socket;
  connection.removeAllListeners('data');
  connection.resume();
  receiver._buffers.length = 0;
  receiver._bufferedBytes = 0;
  receiver._fragments.length = 0;
  // 1009, "message too big" (RFC 6455, section 7.4.1).
  socket.close(1009, `the session's clients may have at most ${MOST >> 20} MiB of incomplete messages together`);
  setTimeout(() => socket.terminate(), CLOSE_PATIENCE_MS).unref();
}

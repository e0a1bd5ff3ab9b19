/**
 * Bounds the messages of a session's clients that have arrived in part: the sockets' library keeps their pieces until they
 * are whole, up to 100 MiB for each client.
 */
import { log } from './output.mjs';

/** How many bytes of incomplete messages the clients of one session may have sent together. One message of 100 MiB fits. */
const MOST = 128 << 20;
/** What a piece takes beside its bytes. */
const PIECE = 256;
/** How long a client that is dropped may take to answer the close, in milliseconds. */
const CLOSE_PATIENCE_MS = 2_000;

/** How much of an incomplete message each client has sent, in bytes. */
const incomplete = new WeakMap();

/**
 * Watches what a client sends, and drops the one of its session that has most when it is too much.
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

/** Reads nothing more of a client, gives the memory of its message back, and closes its connection. */
function drop(socket, held) {
  log(`a client was disconnected: the incomplete messages of its session have more than ${MOST >> 20} MiB, and its own ${held >> 20} MiB`);
  incomplete.delete(socket);
  const { _socket: connection, _receiver: receiver } = socket;
  connection.removeAllListeners('data');
  connection.resume();
  receiver._buffers.length = 0;
  receiver._bufferedBytes = 0;
  receiver._fragments.length = 0;
  // 1009, "message too big" (RFC 6455, section 7.4.1).
  socket.close(1009, `the session's clients may have ${MOST >> 20} MiB of incomplete messages together`);
  setTimeout(() => socket.terminate(), CLOSE_PATIENCE_MS).unref();
}

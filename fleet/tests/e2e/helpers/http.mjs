/** Plain HTTP and raw WebSocket handshakes, without conveniences that would hide the response. */
import http from 'node:http';
import net from 'node:net';
import WebSocket from 'ws';

const PATIENCE_MS = 60_000;

/**
 * @typedef {object} Answer
 * @property {number} status the HTTP status
 * @property {http.IncomingHttpHeaders} headers the headers
 * @property {Buffer} bytes the body
 * @property {string} text the body as text
 * @property {any} json the body as JSON, or undefined if it is none
 */

/**
 * Makes one request on its own connection, so that none stays open after a test.
 *
 * @param {string} method for example `POST`
 * @param {string} url the URL
 * @param {{body?: unknown, headers?: Record<string, string>}} options a body that is neither a string nor bytes is sent as JSON
 * @returns {Promise<Answer>} the response, errors included
 */
export function request(method, url, { body, headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const plain = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
    const text = plain ? body : JSON.stringify(body);
    const length = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const sent = http.request(url, { method, agent: false, timeout: PATIENCE_MS, headers: { ...length, ...headers } });
    sent.on('timeout', () => sent.destroy(new Error(`${method} ${url}: no answer within ${PATIENCE_MS} ms`)));
    sent.on('error', reject);
    sent.on('response', (response) => readAnswer(response).then(resolve, reject));
    sent.end(text);
  });
}

/** Whether a port accepts connections. */
export function listens(host, port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, host, () => resolve(true));
    socket.on('connect', () => socket.destroy()).on('error', () => resolve(false));
  });
}

async function readAnswer(response) {
  const bytes = Buffer.concat(await response.toArray());
  const text = bytes.toString();
  return { status: response.statusCode, headers: response.headers, bytes, text, json: parsed(text) };
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Opens a WebSocket.
 *
 * @param {string} url the URL, `ws://…`
 * @param {{protocols?: string[], headers?: Record<string, string>, onMessage?: (data: Buffer) => void}}
 * options of the handshake; `onMessage` is given here because the first message may arrive together with the
 * response
 * @returns {Promise<{socket: WebSocket, refusal: null, closed: Promise<{code: number, reason:
 * string}>}|{socket: null, refusal: Answer}>} an open socket, or the response that refused the upgrade
 */
export function openSocket(url, { protocols = [], headers = {}, onMessage = () => {} } = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, protocols, { headers, handshakeTimeout: 20_000, perMessageDeflate: false });
    const closed = new Promise((end) => socket.once('close', (code, reason) => end({ code, reason: reason.toString() })));
    socket.on('message', onMessage);
    socket.once('open', () => resolve({ socket, refusal: null, closed }));
    socket.once('unexpected-response', (_, response) => {
      readAnswer(response).then((refusal) => resolve({ socket: null, refusal }), reject);
    });
    // Past the handshake the `close` event says it all.
    socket.on('error', reject);
  });
}

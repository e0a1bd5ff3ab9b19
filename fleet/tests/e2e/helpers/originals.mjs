/**
 * Stand-ins for the parts of the original, Camo-fleet: they send exactly its JSON, without anything that
 * camofleet has added.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { WebSocketServer } from 'ws';

const SESSION = /^\/sessions\/([^/?]+)(\/touch|\/ws)?$/;

/** Times as Python writes them, with and without an offset. */
const pythonTime = { aware: '2026-01-31T12:00:00.123456+00:00', naive: '2026-01-31T12:00:00.123456' };

/** The views of the two roles, based on the fields of `common`. */
const VIEWS = {
  worker: (session) => ({
    browser: 'camoufox',
    worker_id: 'original-worker',
    vnc_enabled: session.vnc,
    ws_endpoint: `/sessions/${session.id}/ws`,
    vnc: linksOf(session),
  }),
  // The browsers' own servers have unguessable paths.
  runner: (session, url) => ({ vnc: session.vnc, ws_endpoint: `${url.replace('http', 'ws')}/${session.secret}`, vnc_info: linksOf(session) }),
};

function linksOf({ vnc }) {
  const [ws, http] = vnc ? ['ws://original:6900/websockify?token=6903', 'http://original:6900/vnc/6903'] : [null, null];
  return { ws, http, password_protected: false };
}

/** An original worker or runner. */
export class Original {
  #server = http.createServer((request, response) => this.#answer(request, response));
  #sockets = new WebSocketServer({ noServer: true });
  #sessions = new Map();
  /** The bodies of the create requests received. */
  bodies = [];
  /** If set, the response to everything below `/sessions` except the list, which is polled: `[status, body]`. */
  refusal = null;
  /** The methods whose requests it leaves unanswered. */
  ignores = new Set();
  /** The headers of the handshakes. */
  handshakes = [];

  /**
   * @param {'worker'|'runner'} role the role of the original
   * @returns {Promise<Original>} the stand-in, listening
   */
  static async start(role) {
    const original = new Original(role);
    await once(original.#server.listen(0, '127.0.0.1'), 'listening');
    // The test process need not wait for one that a failed test left open.
    original.#server.unref();
    original.url = `http://127.0.0.1:${original.#server.address().port}`;
    return original;
  }

  constructor(role) {
    this.role = role;
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  #view(session) {
    const common = {
      id: session.id,
      status: session.status ?? 'READY',
      created_at: pythonTime.aware,
      last_seen_at: session.seen,
      headless: session.headless,
      idle_ttl_seconds: session.idle_ttl_seconds,
      labels: session.labels,
      start_url_wait: 'load',
    };
    return { ...common, ...VIEWS[this.role](session, this.url) };
  }

  #create(body) {
    assert.deepEqual(Object.keys(body).filter((name) => !/^(headless|idle_ttl_seconds|start_url|start_url_wait|labels|vnc)$/.test(name)), []);
    this.bodies.push(body);
    const defaults = { headless: false, idle_ttl_seconds: 300, labels: {}, vnc: false };
    const session = { ...defaults, ...body, id: randomUUID(), secret: randomUUID(), seen: pythonTime.naive };
    this.#sessions.set(session.id, session);
    return [201, this.#view(session)];
  }

  #route(method, path, body) {
    if (path === '/health') return [200, { status: 'ok', version: '0.1.0', checks: { playwright: 'ready', sessions: 1 } }];
    if (this.refusal && !(method === 'GET' && path === '/sessions')) return this.refusal;
    if (path === '/sessions') return method === 'POST' ? this.#create(JSON.parse(body)) : [200, [...this.#sessions.values()].map((session) => this.#view(session))];
    const [, id, below] = SESSION.exec(path) ?? [];
    const session = this.#sessions.get(id);
    if (!session) return [404, { detail: id ? 'Session not found' : 'Not Found' }];
    if (method === 'DELETE') {
      this.#sessions.delete(id);
      return [200, { id, status: 'DEAD' }];
    }
    if (below === '/touch') session.seen = session.lively ? new Date().toISOString() : '2026-01-31T12:00:30+00:00';
    return [200, this.#view(session)];
  }

  async #answer(request, response) {
    const body = Buffer.concat(await request.toArray()).toString();
    if (this.ignores.has(request.method)) return;
    // Like FastAPI, it ignores unknown query parameters.
    const [status, answer] = this.#route(request.method, request.url.split('?')[0], body);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  }

  /** Echoes everything to the attached client. */
  #upgrade(request, socket, head) {
    const known = ({ id, secret }) => request.url === (this.role === 'worker' ? `/sessions/${id}/ws` : `/${secret}`);
    if (![...this.#sessions.values()].some(known)) return socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
    this.handshakes.push(request.headers);
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }));
    });
  }

  /** Adds a session in any state. */
  has(session) {
    const defaults = { headless: true, idle_ttl_seconds: 300, labels: {}, vnc: false, seen: new Date().toISOString() };
    const given = { ...defaults, id: randomUUID(), secret: randomUUID(), ...session };
    this.#sessions.set(given.id, given);
  }

  /** Adds so many sessions, last used a minute ago; a touch updates that. */
  fill(count) {
    const seen = new Date(Date.now() - 60_000).toISOString();
    for (let number = 0; number < count; number += 1) {
      const labels = { team: ['shop', 'search', 'qa'][number % 3], number: String(number) };
      const session = { headless: true, idle_ttl_seconds: 300, labels, vnc: false, id: randomUUID(), secret: randomUUID(), seen, lively: true };
      this.#sessions.set(session.id, session);
    }
  }

  /** Removes its sessions silently. */
  forget() {
    this.#sessions.clear();
  }

  /** Goes away. */
  close() {
    for (const client of this.#sockets.clients) client.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

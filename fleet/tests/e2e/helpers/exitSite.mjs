/** A site that tells its visitors which address they come from, and knows the connections that are open. */
import { once } from 'node:events';
import http from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { WebSocketServer } from 'ws';

const CHUNK = Buffer.alloc(64 << 10, 7);

/** The site. */
export class ExitSite {
  #server = http.createServer((request, response) => this.#answer(request, response));
  #sockets = new WebSocketServer({ server: this.#server });
  #open = new Map();
  #pages;
  /** The addresses and paths of all requests, in order. */
  visits = [];

  /**
   * Opens a site on a free port of loopback.
   *
   * @param {Record<string, string>} pages HTML by path, besides those of the site's own
   */
  static async open(pages = {}) {
    const site = new ExitSite();
    site.#pages = pages;
    site.#server.on('connection', (connection) => site.#count(connection));
    site.#sockets.on('connection', (socket, request) => {
      const open = site.open(request.socket.remoteAddress);
      open.sockets += 1;
      socket.on('error', () => {}).on('close', () => (open.sockets -= 1));
      socket.send('hello');
    });
    site.#server.listen(0, '127.0.0.1');
    await once(site.#server, 'listening');
    site.port = site.#server.address().port;
    return site;
  }

  #count(connection) {
    const open = this.open(connection.remoteAddress);
    open.connections += 1;
    connection.on('error', () => {}).on('close', () => (open.connections -= 1));
  }

  /** How many connections and WebSockets from an address are open. */
  open(address) {
    if (!this.#open.has(address)) this.#open.set(address, { connections: 0, sockets: 0 });
    return this.#open.get(address);
  }

  #answer(request, response) {
    const { pathname } = new URL(request.url, 'http://site');
    this.visits.push(`${request.socket.remoteAddress} ${pathname}`);
    const [, kind, size] = pathname.split('/');
    response.writeHead(200, {
      'content-type': kind === 'bytes' || kind === 'endless' ? 'application/octet-stream' : 'text/html; charset=utf-8',
      'cache-control': 'no-store',
    });
    if (kind === 'bytes') return this.#send(response, Number(size));
    if (kind === 'endless') return this.#send(response, Infinity);
    if (kind === 'ip') return response.end(`${request.socket.remoteAddress}\n`);
    if (kind === 'ip.json') return response.end(JSON.stringify({ ip: request.socket.remoteAddress, city: 'unknown' }));
    return response.end(this.#pages[pathname] ?? `<!doctype html><body>${request.socket.remoteAddress}</body>`);
  }

  #send(response, size) {
    let rest = size;
    const body = new Readable({
      read() {
        const length = Math.min(CHUNK.length, rest);
        rest -= length;
        this.push(length > 0 ? CHUNK.subarray(0, length) : null);
      },
    });
    // Fails when the visitor leaves.
    pipeline(body, response, () => {});
  }

  /** Closes the site and its connections. */
  async close() {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** A site for load: connections that stay open until they get a message, bodies of any size, and uploads. */
import { once } from 'node:events';
import http from 'node:http';

const CHUNK = Buffer.alloc(256 << 10, 7);

/** The site. Names below `localhost` reach it, so that a page can open more connections than a browser opens to one host. */
export class LoadSite {
  #server = http.createServer((request, response) => this.#answer(request, response));
  #connections = new Set();
  #used = new WeakSet();
  /** The responses that stay open, by the name that the page gave each. */
  held = new Map();
  /** The bytes that were written of each body, by its name. */
  written = new Map();

  /** Opens a site on a free port of loopback. */
  static async open() {
    const site = new LoadSite();
    site.#server.on('connection', (connection) => {
      site.#connections.add(connection);
      connection.on('error', () => {}).on('close', () => site.#connections.delete(connection));
    });
    site.#server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 });
    await once(site.#server, 'listening');
    site.port = site.#server.address().port;
    return site;
  }

  /** How many connections are open. */
  get connections() {
    return this.#connections.size;
  }

  /** The address of a path at a host of its own below `localhost`. */
  at(host, path) {
    return `http://${host}.localhost:${this.port}${path}`;
  }

  /** Sends a message with its own name on each connection that is held open. */
  greet() {
    for (const [name, response] of this.held) response.write(`message for ${name};`);
  }

  /** Closes the connections without a request, such as those that Firefox opens in advance. */
  closeUnused() {
    for (const connection of this.#connections) if (!this.#used.has(connection)) connection.destroy();
  }

  #answer(request, response) {
    this.#used.add(request.socket);
    const [, kind, name, size] = new URL(request.url, 'http://site').pathname.split('/');
    response.on('error', () => {});
    response.writeHead(200, {
      'content-type': kind === 'page' ? 'text/html' : 'application/octet-stream',
      'cache-control': 'no-store',
      // So that the open connections are those that are in use.
      connection: 'close',
      // Pages of all its hosts may read it.
      'access-control-allow-origin': '*',
    });
    if (kind === 'hold') {
      this.held.set(name, response);
      response.on('close', () => this.held.delete(name));
      response.write('open;');
    } else if (kind === 'bytes') {
      this.#send(response, name, Number(size));
    } else if (kind === 'upload') {
      let received = 0;
      request.on('data', (data) => (received += data.length)).on('end', () => response.end(String(received)));
    } else {
      response.end('<!doctype html><title>load</title>');
    }
  }

  #send(response, name, size) {
    let written = 0;
    const more = () => {
      while (written < size) {
        const length = Math.min(CHUNK.length, size - written);
        written += length;
        this.written.set(name, written);
        if (!response.write(CHUNK.subarray(0, length))) return;
      }
      response.end();
    };
    response.on('drain', more);
    more();
  }

  /** Closes the site and its connections. */
  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

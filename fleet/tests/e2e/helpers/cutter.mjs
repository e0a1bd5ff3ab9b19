/** A proxy between a browser and a camofleet that can cut some of the connections. */
import { once } from 'node:events';
import http from 'node:http';

/** A proxy that forwards everything until some paths are cut. */
export class Cutter {
  #server;
  #open = new Set();
  #cut = null;

  /**
   * @param {string} target the server, `http://…`
   * @returns {Promise<Cutter>} the proxy, listening
   */
  static async before(target) {
    const cutter = new Cutter(new URL(target));
    await once(cutter.#server.listen(0, '127.0.0.1'), 'listening');
    cutter.url = `http://127.0.0.1:${cutter.#server.address().port}`;
    return cutter;
  }

  constructor({ hostname, port }) {
    this.#server = http.createServer((request, response) => {
      if (this.#cut?.test(request.url)) return response.destroy();
      const { method, headers, url: path } = request;
      const passed = http.request({ hostname, port, method, path, headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      });
      passed.on('error', () => response.destroy());
      const entry = { path, response };
      this.#open.add(entry);
      response.on('close', () => {
        this.#open.delete(entry);
        passed.destroy();
      });
      request.pipe(passed);
    });
  }

  /** Breaks the connections to matching paths, and refuses new ones. */
  cut(pattern) {
    this.#cut = pattern;
    for (const { path, response } of this.#open) if (pattern.test(path)) response.destroy();
  }

  /** Forwards everything again. */
  mend() {
    this.#cut = null;
  }

  close() {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }
}

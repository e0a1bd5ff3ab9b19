/** A web site on loopback for browsers to visit, which remembers who came. */
import http from 'node:http';
import { until } from './wait.mjs';

/** What a page fetches that is to be noticed when it closes: the answer never ends. */
export const HOLD = '<script>fetch("/hold")</script>';

/** A site with pages of the test's own. */
export class Site {
  #server;
  #pages = new Map();
  /** The paths that were asked for, with their queries, in order. */
  visits = [];
  /** How many pages with `HOLD` in them are open. */
  held = 0;

  /**
   * @param {Record<string, string>} pages HTML by path
   * @returns {Promise<Site>} the site, open
   */
  static async open(pages = {}) {
    const site = new Site();
    for (const [path, html] of Object.entries(pages)) site.#pages.set(path, html);
    await new Promise((resolve) => site.#server.listen(0, '127.0.0.1', resolve));
    site.url = `http://127.0.0.1:${site.#server.address().port}`;
    return site;
  }

  constructor() {
    this.#server = http.createServer((request, response) => {
      this.visits.push(request.url);
      if (request.url === '/hold') {
        this.held += 1;
        response.on('close', () => (this.held -= 1));
        response.writeHead(200).flushHeaders();
        return;
      }
      const html = this.#pages.get(request.url.split('?')[0]);
      response.writeHead(html === undefined ? 404 : 200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
      response.end(html ?? 'nothing here');
    });
  }

  /** Waits for a visit whose path and query fit, among those after the first `past` ones. */
  visit(pattern, past = 0, patience = 15_000) {
    return until(() => this.visits.slice(past).find((url) => pattern.test(url)), `a visit of ${pattern}`, patience);
  }

  /** Closes the site, connections that are kept alive included. */
  close() {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A page that is one colour all over. */
export function colouredPage([red, green, blue], body = '') {
  return `<!doctype html><title>colour</title><style>html{background:rgb(${red},${green},${blue})}</style>${body}`;
}

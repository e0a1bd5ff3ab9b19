/** A web site on loopback that records visits. */
import http from 'node:http';
import { until } from './wait.mjs';

/** A resource whose response never ends, so that the close of its page is noticed. */
export const HOLD = '<script>fetch("/hold")</script>';

/** A site with pages of the test's own. */
export class Site {
  #server;
  #pages = new Map();
  /** The requested paths with their queries, in order. */
  visits = [];
  /** The number of open pages that contain `HOLD`. */
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

  /** Waits for a visit whose path and query match, after the first `past` ones. */
  visit(pattern, past = 0, patience = 15_000) {
    return until(() => this.visits.slice(past).find((url) => pattern.test(url)), `a visit of ${pattern}`, patience);
  }

  /** Closes the site, including idle connections. */
  close() {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(resolve));
  }
}

/** A page of a single colour. */
export function colouredPage([red, green, blue], body = '') {
  return `<!doctype html><title>colour</title><style>html{background:rgb(${red},${green},${blue})}</style>${body}`;
}

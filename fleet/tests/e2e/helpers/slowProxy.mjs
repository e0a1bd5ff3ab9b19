/** An HTTP proxy that is slow to answer, and slow to forward. */
import { once } from 'node:events';
import net from 'node:net';

const TICK_MS = 50;

/** The proxy. */
export class SlowProxy {
  #server;
  #sockets = new Set();
  /** How many tunnels it has opened. */
  tunnels = 0;

  /**
   * @param {{answerAfter: number, rate: number}} options `answerAfter`: the milliseconds before it answers a
   * CONNECT; `rate`: the bytes a second that each tunnel forwards in each direction
   * @returns {Promise<SlowProxy>} the proxy, on a free port of loopback
   */
  static async open(options) {
    const proxy = new SlowProxy(options);
    await once(proxy.#server.listen(0, '127.0.0.1'), 'listening');
    proxy.url = `http://127.0.0.1:${proxy.#server.address().port}`;
    return proxy;
  }

  constructor({ answerAfter, rate }) {
    const piece = Math.round((rate * TICK_MS) / 1000);
    this.#server = net.createServer(async (client) => {
      this.#track(client);
      const [request] = await once(client, 'data').catch(() => ['']);
      client.pause();
      const port = Number(/^CONNECT \S+:(\d+) HTTP/.exec(String(request))?.[1]);
      if (!port) return client.destroy();
      const site = this.#track(net.connect(port, '127.0.0.1'));
      const answer = () => {
        this.tunnels += 1;
        client.write('HTTP/1.1 200 OK\r\n\r\n');
        this.#forward(client, site, piece);
        this.#forward(site, client, piece);
      };
      const timer = setTimeout(answer, answerAfter);
      client.on('close', () => {
        clearTimeout(timer);
        site.destroy();
      });
    });
  }

  #track(socket) {
    this.#sockets.add(socket);
    return socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket));
  }

  /** Reads no more than it forwards, so that the sender has to wait. */
  #forward(from, to, piece) {
    const timer = setInterval(() => {
      const data = from.read(Math.min(piece, from.readableLength)) ?? (from.readableLength === 0 ? from.read(0) : null);
      if (data) to.write(data);
    }, TICK_MS);
    from.on('end', () => to.end()).on('close', () => clearInterval(timer));
  }

  /** Closes it and its tunnels. */
  close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

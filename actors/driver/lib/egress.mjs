/**
 * Leads the HTTP requests that the driver sends for clients (`page.request`, `route.fetch`) by the same way
 * as the connections of their browser: to camofleet's SOCKS 5 server (RFC 1928) on a Unix socket.
 */
import dns from 'node:dns';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';

const VERSION = 5;
const CONNECT = 1;
const NAME = 3;
/** The length of the rest of a reply by the kind of the address in it. */
const BOUND = { 1: 6, 4: 18 };

/** The longest name that a request holds, in bytes. */
const LONGEST_NAME = 255;

/** The replies of RFC 1928 as errors that Node's own connections have. */
const ERRORS = {
  2: ['EACCES', 'the rules for egress or a block list do not allow it'],
  4: ['ENOTFOUND', 'the name has no address'],
  5: ['ECONNREFUSED', 'the connection was refused'],
  6: ['ETIMEDOUT', 'the connection was not established in time'],
};

/** Reads exactly so many bytes. */
async function read(socket, length) {
  for (;;) {
    const bytes = socket.read(length);
    if (bytes) return bytes;
    if (socket.readableEnded) throw new Error('the egress closed the connection');
    await Promise.race([once(socket, 'readable'), once(socket, 'end')]);
  }
}

/**
 * Connects to a host by a browser's egress.
 *
 * @param {string} path the socket of its SOCKS server
 * @param {string} host a name, which is resolved there, or an address
 * @param {number} port its port
 * @returns {Promise<net.Socket>} the connection
 * @throws {Error} with a `code` as Node's own
 */
async function connect(path, host, port) {
  const name = Buffer.from(host);
  // Its length would be cut to a byte, so that its start were the name, and its rest a message to that host.
  if (name.length > LONGEST_NAME) {
    throw Object.assign(new Error(`connect ENOTFOUND: a name of ${name.length} bytes has no address`), { code: 'ENOTFOUND' });
  }
  const socket = net.connect({ path });
  try {
    await once(socket, 'connect');
    const request = Buffer.from([VERSION, 1, 0, VERSION, CONNECT, 0, NAME, name.length, ...name, port >> 8, port & 255]);
    // Both messages at once: the server knows no other method.
    socket.write(request);
    await read(socket, 2);
    const [, code, , kind] = await read(socket, 4);
    if (code !== 0) {
      const [name, what] = ERRORS[code] ?? ['ECONNREFUSED', 'the proxy failed'];
      throw Object.assign(new Error(`connect ${name} ${host}:${port}: ${what}`), { code: name });
    }
    await read(socket, BOUND[kind]);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

class EgressAgent extends http.Agent {
  #path;

  constructor(path) {
    super({ keepAlive: false });
    this.#path = path;
  }

  createConnection({ host, port }, done) {
    connect(this.#path, host, Number(port)).then((socket) => done(null, socket), done);
  }
}

class SecureEgressAgent extends https.Agent {
  #path;

  constructor(path) {
    super({ keepAlive: false });
    this.#path = path;
  }

  createConnection(options, done) {
    const { host, port } = options;
    const servername = options.servername || (net.isIP(host) ? undefined : host);
    connect(this.#path, host, Number(port)).then((socket) => done(null, tls.connect({ ...options, socket, servername })), done);
  }
}

/**
 * Replaces the agent of a request that would connect directly. A context's own proxy, which its client named,
 * stays.
 *
 * @param {object} options those of `http.request`
 * @param {string} path the socket of the browser's egress
 * @param {boolean} secure whether it is `https`
 * @returns {object} options for `http.request`
 */
export function byEgress(options, path, secure) {
  // Agents of Playwright's proxies know their proxy.
  if (options.agent?.proxy) return options;
  return { ...options, agent: secure ? new SecureEgressAgent(path) : new EgressAgent(path) };
}

// Playwright connects to its browsers at `localhost`, and looks up both kinds of its addresses. A name server
// would be asked for the one that the machine's own list lacks, and a launch would wait for the answer.
const LOCALHOST = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];
const { lookup } = dns.promises;
dns.promises.lookup = (name, options) => {
  if (name !== 'localhost' || !options?.all) return lookup(name, options);
  return Promise.resolve(LOCALHOST.filter(({ family }) => !options.family || options.family === family));
};

/**
 * Real proxies: Dante (SOCKS 5 with passwords), tinyproxy (HTTP), and tinyproxy behind TLS. Each connects from
 * a loopback address of its own, which a site can distinguish, and resolves names that no name server has.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { temporaryDirectory } from './camofleet.mjs';
import { freePort } from './ports.mjs';
import { terminateTls } from './tls.mjs';
import { UNPACKED } from './unpacked.mjs';
import { until } from './wait.mjs';

const PATIENCE_MS = 10_000;
/** The user name of all proxies. */
const USERNAME = 'walker';
/** Dante's password, with characters that a URL has to encode, and its hash as in `/etc/shadow`. */
const DANTE_PASSWORD = 'open:s3same@home';
const SHADOW = '$6$camofleet$V0ozrl6ipuyTaVOe4l2a0D2Cb256moWXwbmQtEZ2nRwLuCmLPfo/KyZBzFB8EavljnbA1v7/G9mZSKtTxrLae0';
/** The password of tinyproxy, whose configuration allows few characters. */
const TINYPROXY_PASSWORD = 's3same';

/** One proxy process. */
class Proxy {
  #child;

  constructor(program, args, files, { from, port }) {
    Object.assign(this, { program, args, files, from, port });
    this.directory = temporaryDirectory();
    for (const [name, text] of Object.entries(files(this.directory))) fs.writeFileSync(path.join(this.directory, name), text);
  }

  /** Starts the process, at first or again, and waits until it accepts connections. */
  async up() {
    const at = (name) => path.join(this.directory, name);
    this.#child = spawn(path.join(UNPACKED, this.program), this.args(this.directory), {
      cwd: this.directory,
      env: {
        LD_LIBRARY_PATH: path.join(UNPACKED, 'usr/lib', `${os.arch() === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`),
        LD_PRELOAD: 'libnss_wrapper.so',
        NSS_WRAPPER_PASSWD: at('passwd'),
        NSS_WRAPPER_GROUP: at('group'),
        NSS_WRAPPER_SHADOW: at('shadow'),
        NSS_WRAPPER_HOSTS: at('hosts'),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let said = '';
    for (const stream of [this.#child.stdout, this.#child.stderr]) stream.on('data', (text) => (said += text));
    this.#child.once('error', (error) => (said += error));
    this.exited = once(this.#child, 'exit').catch(() => {});
    process.once('exit', () => this.kill());
    await until(() => accepts(this.port), `${this.program} to accept connections`, PATIENCE_MS).catch((error) => {
      throw new Error(`${error.message}; it said: ${said}`, { cause: error });
    });
    return this;
  }

  /** Kills its processes. */
  kill() {
    this.signal('SIGKILL');
  }

  /** Sends a signal to its processes. */
  signal(name) {
    try {
      process.kill(-this.#child.pid, name);
    } catch {
      // It has ended already.
    }
  }

  /** Kills it and removes its files. */
  async stop() {
    this.kill();
    await this.exited;
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

async function accepts(port) {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The user database and the names that a proxy knows. */
function databases(names) {
  const { uid, gid } = os.userInfo();
  const hosts = Object.entries(names).map(([name, address]) => `${address} ${name}\n`);
  return {
    passwd: `root:x:0:0::/:/bin/false\nown:x:${uid}:${gid}::/:/bin/false\n${USERNAME}:x:2000:2000::/:/bin/false\n`,
    group: `own:x:${gid}:\n${USERNAME}:x:2000:\n`,
    shadow: `${USERNAME}:${SHADOW}:19000:0:99999:7:::\n`,
    hosts: hosts.join(''),
  };
}

/**
 * Starts Dante.
 *
 * @param {{from: string, names?: Record<string, string>}} options `from`: the loopback address that it connects
 * from; `names`: addresses by name
 * @returns {Promise<Proxy>} the running proxy
 */
export async function dante({ from, names = {} }) {
  const port = await freePort();
  const own = os.userInfo().uid === 0 ? 'root' : 'own';
  const configuration = `
logoutput: stderr
internal: 127.0.0.1 port = ${port}
external: ${from}
socksmethod: username
clientmethod: none
user.privileged: ${own}
user.unprivileged: ${own}
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect }
`;
  const files = () => ({ ...databases(names), 'danted.conf': configuration });
  const args = (directory) => ['-f', path.join(directory, 'danted.conf'), '-p', path.join(directory, 'danted.pid')];
  const proxy = new Proxy('usr/sbin/danted', args, files, { from, port });
  Object.assign(proxy, { username: USERNAME, password: DANTE_PASSWORD, server: `socks5://127.0.0.1:${port}` });
  proxy.url = `socks5://${USERNAME}:${encodeURIComponent(DANTE_PASSWORD)}@127.0.0.1:${port}`;
  return proxy.up();
}

/**
 * Starts tinyproxy.
 *
 * @param {{from: string, names?: Record<string, string>, password?: boolean}} options as for Dante; `password`:
 * whether it requires the user's
 * @returns {Promise<Proxy>} the running proxy
 */
export async function tinyproxy({ from, names = {}, password = true }) {
  const port = await freePort();
  const configuration = `
Listen 127.0.0.1
Port ${port}
Bind ${from}
Timeout 600
MaxClients 300
LogLevel Info
${password ? `BasicAuth ${USERNAME} ${TINYPROXY_PASSWORD}` : ''}
`;
  const files = () => ({ ...databases(names), 'tinyproxy.conf': configuration });
  const args = (directory) => ['-d', '-c', path.join(directory, 'tinyproxy.conf')];
  const proxy = new Proxy('usr/bin/tinyproxy', args, files, { from, port });
  proxy.url = `http://${password ? `${USERNAME}:${TINYPROXY_PASSWORD}@` : ''}127.0.0.1:${port}`;
  return proxy.up();
}

/** Puts TLS in front of an HTTP proxy; its URL names the host of the certificate. */
export async function overTls(proxy, authority, host) {
  const front = await terminateTls(authority, `http://127.0.0.1:${proxy.port}`);
  return { ...front, url: `https://${USERNAME}:${TINYPROXY_PASSWORD}@${host}:${front.port}` };
}

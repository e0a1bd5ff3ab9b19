/** TLS in front of a role, as with an ingress or a service mesh. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';

/** A certificate authority of the tests, with a certificate for one host. */
export class Authority {
  /**
   * @param {string} directory where its files go
   * @param {string} host the host of its certificate
   */
  constructor(directory, host) {
    const file = (name) => path.join(directory, name);
    const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const newKey = (name) => ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file(name)];
    openssl('req', '-x509', ...newKey('ca.key'), '-out', file('ca.pem'), '-days', '1', '-subj', `/CN=${path.basename(directory)}`);
    openssl('req', ...newKey('host.key'), '-out', file('host.csr'), '-subj', `/CN=${host}`);
    fs.writeFileSync(file('host.ext'), `subjectAltName=DNS:${host}\nbasicConstraints=CA:FALSE\n`);
    const signed = ['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-extfile', file('host.ext')];
    openssl('x509', '-req', '-in', file('host.csr'), ...signed, '-out', file('host.pem'), '-days', '1');
    /** The CA file for `SSL_CERT_FILE`. */
    this.file = file('ca.pem');
    this.identity = { cert: fs.readFileSync(file('host.pem')), key: fs.readFileSync(file('host.key')) };
  }
}

/**
 * Accepts TLS connections and forwards their content.
 *
 * @param {Authority} authority whose certificate it presents
 * @param {string} url where the plain connections go, `http://…`
 * @returns {Promise<{port: number, taken: () => number, close: () => void}>} its port, and how many
 * connections it accepted
 */
export async function terminateTls(authority, url) {
  const { hostname, port } = new URL(url);
  const open = new Set();
  let taken = 0;
  const server = tls.createServer(authority.identity, (outside) => {
    taken += 1;
    const inside = net.connect(Number(port), hostname);
    for (const [socket, other] of [[outside, inside], [inside, outside]]) {
      open.add(socket);
      socket.on('error', () => {}).on('close', () => {
        open.delete(socket);
        other.destroy();
      });
    }
    outside.pipe(inside).pipe(outside);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = () => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  return { port: server.address().port, taken: () => taken, close };
}

/** A name server for tests, with the records that it is given. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import dnsPacket from 'dns-packet';

/** Authoritative, and not to be cached. */
const FLAGS = dnsPacket.AUTHORITATIVE_ANSWER;
const TTL = 0;
/** The size limit of a UDP answer; a client whose answer is truncated asks again over TCP. */
const DATAGRAM = 512;

/** Answers on loopback. */
export class NameServer {
  #socket = dgram.createSocket('udp4');
  #listener = net.createServer((connection) => this.#serve(connection));
  /** The records, by type and name. */
  #records = new Map();

  /** Starts one without records. */
  static async start() {
    const server = new NameServer();
    server.#socket.on('message', (message, { address, port }) => {
      const whole = server.#answer(message);
      const cut = () => server.#answer(message, dnsPacket.TRUNCATED_RESPONSE);
      server.#socket.send(whole.length > DATAGRAM ? cut() : whole, port, address);
    });
    // Of TCP more ports are taken, so that one is chosen first.
    server.#listener.listen(0, '127.0.0.1');
    await once(server.#listener, 'listening');
    server.#socket.bind(server.#listener.address().port, '127.0.0.1');
    await once(server.#socket, 'listening');
    return server;
  }

  #answer(message, flags = 0) {
    const { id, questions } = dnsPacket.decode(message);
    const found = questions.flatMap(({ type, name }) => this.#records.get(`${type} ${name.toLowerCase()}`) ?? []);
    return dnsPacket.encode({ type: 'response', id, flags: FLAGS | flags, questions, answers: flags ? [] : found });
  }

  /** A message over TCP has a length prefix of two bytes. */
  #serve(connection) {
    let received = Buffer.alloc(0);
    connection.on('error', () => connection.destroy());
    connection.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        const answer = this.#answer(received.subarray(2, end));
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        connection.write(Buffer.concat([length, answer]));
        received = received.subarray(end);
      }
    });
  }

  /** Its address, as in a URL. */
  get address() {
    return `127.0.0.1:${this.#socket.address().port}`;
  }

  /** Sets the A records of a name. */
  setAddresses(name, addresses) {
    this.#records.set(`A ${name}`, addresses.map((data) => ({ type: 'A', name, ttl: TTL, data })));
  }

  /** Sets the SRV records of a name: hosts, each with a port. */
  setServices(name, services) {
    const record = ({ target, port }) => ({ type: 'SRV', name, ttl: TTL, data: { target, port, priority: 0, weight: 0 } });
    this.#records.set(`SRV ${name}`, services.map(record));
  }

  /** Stops it. */
  close() {
    this.#socket.close();
    this.#listener.close();
  }
}

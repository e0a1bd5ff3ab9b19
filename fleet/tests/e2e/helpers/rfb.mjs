/**
 * A minimal VNC client, over camofleet's WebSocket or TCP: it reads pixels, types and clicks. It supports raw
 * rectangles only, because other decoders would need tests of their own.
 */
import { createCipheriv } from 'node:crypto';
import net from 'node:net';
import { constants, deflateSync, inflateSync } from 'node:zlib';
import { openSocket } from './http.mjs';
import { until, within } from './wait.mjs';

/** Message types of the server. */
const [UPDATE, BELL, CUT_TEXT] = [0, 2, 3];
/** Flags of the extended clipboard: text, and actions. */
const [TEXT, CAPABILITIES, REQUEST, NOTIFY, PROVIDE] = [0, 24, 25, 27, 28].map((bit) => (1 << bit) >>> 0);
const RAW = 0;
const BYTES_PER_PIXEL = 4;

/** A viewer. */
export class Viewer {
  #socket;
  #received = Buffer.alloc(0);
  #wake = () => {};
  #closed = null;
  #screen;
  #password;
  #texts = [];

  /**
   * Connects and completes the handshake.
   *
   * @param {string} url the tunnel's `ws://` address
   * @param {Record<string, string>} headers of the WebSocket's handshake
   * @param {string|undefined} password for the server's authentication
   * @returns {Promise<Viewer>} a viewer that knows the screen's size
   */
  static async connect(url, headers = {}, password = undefined) {
    const viewer = new Viewer();
    viewer.#password = password;
    const onMessage = (data) => viewer.#receive(data);
    const { socket, refusal, closed } = await openSocket(url, { protocols: ['binary'], headers, onMessage });
    if (refusal) throw new Error(`refused with ${refusal.status}: ${refusal.text}`);
    viewer.#socket = socket;
    viewer.protocol = socket.protocol;
    /** The close code and reason of the WebSocket. */
    viewer.closed = closed.then((end) => {
      viewer.#closed = end;
      viewer.#wake();
      return end;
    });
    await within(viewer.#shakeHands(), 'the VNC handshake');
    return viewer;
  }

  /**
   * Connects to the raw port of a VNC server.
   *
   * @param {string} host its host
   * @param {number} port its port
   * @returns {Promise<Viewer>} a viewer that knows the screen's size
   */
  static async connectTo(host, port) {
    const viewer = new Viewer();
    const socket = net.connect(port, host);
    const closed = new Promise((resolve) => socket.once('close', resolve)).then(() => ({ code: null, reason: 'the connection ended' }));
    socket.on('data', (data) => viewer.#receive(data));
    socket.on('error', () => socket.destroy());
    viewer.#socket = { send: (bytes) => socket.write(bytes), close: () => socket.end(), terminate: () => socket.destroy(), pause: () => socket.pause() };
    viewer.closed = closed.then((end) => {
      viewer.#closed = end;
      viewer.#wake();
      return end;
    });
    await within(viewer.#shakeHands(), 'the VNC handshake');
    return viewer;
  }

  #receive(data) {
    this.#received = Buffer.concat([this.#received, data]);
    this.#wake();
  }

  async #read(length) {
    while (this.#received.length < length) {
      if (this.#closed) throw new Error(`the tunnel was closed: ${this.#closed.code} ${this.#closed.reason}`);
      await new Promise((resolve) => (this.#wake = resolve));
    }
    const bytes = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  #send(...bytes) {
    this.#socket.send(Buffer.from(bytes.flat()));
  }

  async #shakeHands() {
    this.version = (await this.#read(12)).toString().trim();
    // A Buffer, because the tunnel refuses text messages.
    this.#socket.send(Buffer.from('RFB 003.008\n'));
    const kinds = [...(await this.#read((await this.#read(1))[0]))];
    if (kinds.length === 0) throw new Error(`refused: ${await this.#read((await this.#read(4)).readUInt32BE())}`);
    this.kinds = kinds;
    if (kinds.includes(1)) {
      this.#send(1);
    } else if (kinds.includes(2) && this.#password !== undefined) {
      this.#send(2);
      this.#socket.send(answerTo(await this.#read(16), this.#password));
    } else {
      throw new Error(`the server wants authentication: ${kinds}`);
    }
    if ((await this.#read(4)).readUInt32BE() !== 0) throw new Error('the server refused the viewer');
    this.#send(1);
    const init = await this.#read(24);
    this.width = init.readUInt16BE(0);
    this.height = init.readUInt16BE(2);
    this.#screen = Buffer.alloc(this.width * this.height * BYTES_PER_PIXEL);
    this.name = (await this.#read(init.readUInt32BE(20))).toString();
    // 32 bits per pixel, 24 of colour, little endian: blue, green, red, unused.
    this.#send(0, 0, 0, 0, 32, 24, 0, 1, short(255), short(255), short(255), 16, 8, 0, 0, 0, 0);
    this.#send(2, 0, short(1), 0, 0, 0, RAW);
  }

  /**
   * Reads the current content of a rectangle.
   *
   * @returns {Promise<number[][]>} its pixels as `[red, green, blue]`, row by row
   */
  async pixels(x, y, width, height) {
    this.#send(3, 0, short(x), short(y), short(width), short(height));
    for (let missing = width * height; missing > 0; ) missing -= await within(this.#update(), 'a framebuffer update');
    const pixels = [];
    for (let row = y; row < y + height; row += 1) {
      for (let column = x; column < x + width; column += 1) {
        const at = (row * this.width + column) * BYTES_PER_PIXEL;
        pixels.push([this.#screen[at + 2], this.#screen[at + 1], this.#screen[at]]);
      }
    }
    return pixels;
  }

  /** Handles one message of the server; returns the number of pixels in it. */
  async #update() {
    const [kind] = await this.#read(1);
    if (kind === BELL) return 0;
    if (kind === CUT_TEXT) {
      await this.#cutText();
      return 0;
    }
    if (kind !== UPDATE) throw new Error(`unexpected message ${kind} from the VNC server`);
    let count = 0;
    for (let left = (await this.#read(3)).readUInt16BE(1); left > 0; left -= 1) count += await this.#rectangle();
    return count;
  }

  /** Handles the session's clipboard; requests its text if the server only announces it. */
  async #cutText() {
    const length = (await this.#read(7)).readInt32BE(3);
    const body = await this.#read(Math.abs(length));
    if (length >= 0) {
      this.#texts.push(body.toString('latin1'));
      return;
    }
    const flags = body.readUInt32BE(0);
    // The server's capabilities.
    if (flags & CAPABILITIES) return;
    if (flags & NOTIFY && flags & TEXT) this.say([6, 0, 0, 0, ...long(-4), ...long(REQUEST | TEXT)]);
    if (!(flags & PROVIDE) || !(flags & TEXT)) return;
    const unpacked = inflateSync(body.subarray(4), { finishFlush: constants.Z_SYNC_FLUSH });
    const text = unpacked.subarray(4, 4 + unpacked.readUInt32BE(0)).toString();
    this.#texts.push(text.replace(/\0$/, '').replaceAll('\r\n', '\n'));
  }

  /** Enables the extended clipboard, which is not limited to Latin-1. */
  extendClipboard() {
    this.say([2, 0, ...short(2), ...long(RAW), 0xc0, 0xa1, 0xe5, 0xce]);
    this.say([6, 0, 0, 0, ...long(-8), ...long(CAPABILITIES | TEXT | REQUEST | NOTIFY | PROVIDE), ...long(20 << 20)]);
  }

  /** Waits for the next text of the session's clipboard. */
  async copied(patience) {
    const arrives = async () => {
      while (this.#texts.length === 0) await this.#update();
      return this.#texts.shift();
    };
    return within(arrives(), 'a text of the clipboard', patience);
  }

  async #rectangle() {
    const head = await this.#read(12);
    const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.readUInt16BE(at));
    if (head.readInt32BE(8) !== RAW) throw new Error('a rectangle that is not raw');
    const bytes = await this.#read(width * height * BYTES_PER_PIXEL);
    const stride = width * BYTES_PER_PIXEL;
    for (let row = 0; row < height; row += 1) {
      bytes.copy(this.#screen, ((y + row) * this.width + x) * BYTES_PER_PIXEL, row * stride, (row + 1) * stride);
    }
    return width * height;
  }

  /** Waits until a spot of the screen, away from the pointer in its middle, has a single colour. */
  async shows(colour, patience = 20_000) {
    let seen;
    const [x, y] = [this.width >> 2, this.height >> 1];
    await until(
      async () => {
        seen = await this.pixels(x, y, 8, 8);
        return seen.every((pixel) => isColour(pixel, colour));
      },
      `rgb(${colour}) on the screen`,
      patience,
    ).catch((error) => {
      throw new Error(`${error.message}; it shows rgb(${seen?.[0]})`, { cause: error });
    });
  }

  /** Presses and releases the left button. */
  click(x, y) {
    for (const buttons of [0, 1, 0]) this.#send(5, buttons, short(x), short(y));
  }

  /** Presses and releases the keys of a text of ASCII characters. */
  type(text) {
    for (const character of text) {
      const key = [0, 0, short(character.charCodeAt(0))].flat();
      this.#send(4, 1, 0, 0, key);
      this.#send(4, 0, 0, 0, key);
    }
  }

  /**
   * Presses and releases keys in order: a character or a keysym for a whole stroke, or `[key, down]` for half
   * of one.
   */
  keys(...strokes) {
    const event = (key, down) => this.#send(4, down ? 1 : 0, 0, 0, long(keysymOf(key)));
    for (const stroke of strokes) {
      const [key, down] = Array.isArray(stroke) ? stroke : [stroke];
      if (down !== false) event(key, true);
      if (down !== true) event(key, false);
    }
  }

  /** Sends the pointer's position and the pressed buttons. */
  pointer(x, y, buttons) {
    this.#send(5, buttons, short(x), short(y));
  }

  /** Puts a Latin-1 text on the session's clipboard. */
  clipboard(text) {
    const bytes = Buffer.from(text, 'latin1');
    this.say(Buffer.concat([Buffer.from([6, 0, 0, 0, ...long(bytes.length)]), bytes]));
  }

  /** The same with any text, through the extended clipboard, when the server has requested it. */
  extendedClipboard(text) {
    const bytes = Buffer.from(`${text}\0`);
    const body = Buffer.concat([Buffer.from([0x10, 0, 0, 1]), deflateSync(Buffer.concat([Buffer.from(long(bytes.length)), bytes]))]);
    this.say(Buffer.concat([Buffer.from([6, 0, 0, 0, ...long(-body.length)]), body]));
  }

  /** Sends raw bytes. */
  say(bytes) {
    this.#socket.send(Buffer.from(bytes));
  }

  /** Stops reading. */
  pause() {
    this.#socket.pause();
  }

  /** Drops the connection. */
  drop() {
    this.#socket.terminate?.();
    return this.closed;
  }

  /** Disconnects. */
  close() {
    this.#socket.close();
    return this.closed;
  }
}

/**
 * The response to VNC's challenge: encrypted by DES with the password as the key, with the bits of each byte
 * reversed.
 */
function answerTo(challenge, password) {
  const flipped = [...Buffer.from(password.padEnd(8, '\0'), 'latin1')].map((byte) =>
    Number.parseInt(byte.toString(2).padStart(8, '0').split('').reverse().join(''), 2),
  );
  // Triple DES with three equal keys is DES, which OpenSSL no longer offers.
  const cipher = createCipheriv('des-ede3-ecb', Buffer.from([...flipped, ...flipped, ...flipped]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}

/** The keysym of a character: its code point, marked if it is outside of Latin-1. */
export function keysymOf(key) {
  if (typeof key === 'number') return key;
  const code = key.codePointAt(0);
  return code < 0x100 ? code : 0x1000000 | code;
}

function long(value) {
  return [short(value >>> 16), short(value & 0xffff)].flat();
}

function short(value) {
  return [value >> 8, value & 0xff];
}

/** Whether a pixel has a colour, within the accuracy of screens and PNGs. */
export function isColour(pixel, colour) {
  return colour.every((channel, index) => Math.abs(channel - pixel[index]) <= 3);
}

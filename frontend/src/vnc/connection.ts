import RFB, { type RfbCredentials } from '@novnc/novnc';

import type { RemoteKey } from './keys.ts';
import type { LiveStatus, Loss } from './status.ts';
import { fetchViewInfo, type ViewInfo, viewInfoUrl } from './viewInfo.ts';

/** An attempt that has got nowhere after this long is given up. */
const CONNECT_TIMEOUT_MS = 15_000;
/** A connection that lasted this long was a good one: the next loss starts with the short delay. */
const STABLE_AFTER_MS = 10_000;
/**
 * A view with a key is believed to be gone after being called unknown this often in a row: a control that has just
 * started does not know its workers yet.
 */
const MAX_NOT_FOUND = 3;

const FIRST_RETRY_DELAY_MS = 1000;
const LONGEST_RETRY_DELAY_MS = 10_000;

/** Keys a person may be holding while control is taken from the keyboard: keysym and code. */
const MODIFIER_KEYS: [number, string][] = [
  [0xffe1, 'ShiftLeft'],
  [0xffe2, 'ShiftRight'],
  [0xffe3, 'ControlLeft'],
  [0xffe4, 'ControlRight'],
  [0xffe9, 'AltLeft'],
  [0xfe03, 'AltRight'],
  [0xffeb, 'MetaLeft'],
  [0xffec, 'MetaRight'],
];

/** What a live view needs to begin. */
export interface LiveConnectionOptions {
  /** The element that gets the canvas. */
  target: HTMLElement;
  /** The WebSocket that leads to the VNC server, with the view's `key` where that is known. */
  url: URL;
  /** Watch only: no key, click or touch is passed on. */
  viewOnly: boolean;
  /** Called on every change of state. */
  onStatus: (status: LiveStatus) => void;
  /** Called with each text that is copied over there; noVNC hears of it only while it controls. */
  onClipboard?: (text: string) => void;
}

/** One try to connect: noVNC's client and what was learned about it on the way. */
interface Attempt {
  rfb: RFB;
  /** The close event of its socket, which noVNC keeps to itself; null while it is open. */
  ending: { event: CloseEvent | null };
  refusal: Loss | null;
  connectedAt: number | null;
  timeout: number | undefined;
}

/**
 * A live view that keeps itself connected. It wraps noVNC's client, which knows one connection and
 * no second: this one notices the loss, says why, waits a growing while and tries again, until it
 * is closed or the session is over. The panel and the noVNC page both use it.
 *
 * It shows one session and never another: the number in its address is given to later sessions, too.
 * So it asks the gateway for the session's key before it connects by a number alone, and after each
 * loss whether the session is over. A gateway that can't be asked is trusted, as one of the
 * original has to be.
 */
export class LiveConnection {
  readonly #options: LiveConnectionOptions;
  #viewOnly: boolean;
  #scaled = true;
  #received = 0;
  #credentials: RfbCredentials | null = null;
  /** Why the last credentials were of no use: said until others are. */
  #lastRefusal: Loss | null = null;
  #attempt: Attempt | null = null;
  /** The address, with the key as soon as that is known. */
  #url: URL;
  /** The session that it shows; null while nobody has said. */
  #session: string | null = null;
  /** Whether a WebSocket of it was ever open: then nothing on the way is in the way of WebSockets. */
  #opened = false;
  #infoRequest: AbortController | null = null;
  /** How often in a row the gateway knew no such view. */
  #notFoundInARow = 0;
  #failures = 0;
  #retryTimer: number | undefined;

  constructor(options: LiveConnectionOptions) {
    this.#options = options;
    this.#url = options.url;
    this.#viewOnly = options.viewOnly;
  }

  /** Connects, and from then on reconnects until {@link close}, or until its session is over. */
  open(): void {
    this.#options.onStatus({ state: 'connecting' });
    if (this.#hasKey) {
      this.#connect();
      return;
    }
    this.#fetchInfo((info) => {
      const end = this.#checkSession(info);
      if (end) this.#stop(end);
      else this.#connect();
    });
  }

  /** Ends the connection for good and takes the canvas out of the page. */
  close(): void {
    clearTimeout(this.#retryTimer);
    this.#infoRequest?.abort();
    const attempt = this.#attempt;
    if (attempt) {
      // Forgotten first: what noVNC still reports about it concerns nobody any more.
      this.#attempt = null;
      clearTimeout(attempt.timeout);
      attempt.rfb.disconnect();
    }
  }

  /** Switches between watching and controlling without a new connection. */
  setViewOnly(viewOnly: boolean): void {
    this.#viewOnly = viewOnly;
    const rfb = this.#attempt?.rfb;
    if (!rfb || rfb.viewOnly === viewOnly) return;
    // noVNC stops sending before it lets go of the keys: a held one would stay down over there.
    if (viewOnly) for (const [keysym, code] of MODIFIER_KEYS) rfb.sendKey(keysym, code, false);
    rfb.viewOnly = viewOnly;
  }

  /** Switches between a screen that is scaled to fit its element and one pixel for each pixel. */
  setScaled(scaled: boolean): void {
    this.#scaled = scaled;
    if (this.#attempt) this.#attempt.rfb.scaleViewport = scaled;
  }

  /** How many bytes the screen has sent, over all connections. */
  get received(): number {
    return this.#received;
  }

  /** Presses a key (`true`), lets it go (`false`), or both; nothing while only watching. */
  sendKey({ keysym, code }: RemoteKey, down?: boolean): void {
    this.#attempt?.rfb.sendKey(keysym, code, down);
  }

  /** Presses Ctrl+Alt+Del, which the keyboard here would keep to itself. */
  sendCtrlAltDel(): void {
    this.#attempt?.rfb.sendCtrlAltDel();
  }

  /** Puts a text on the clipboard over there; nothing while only watching. */
  sendText(text: string): void {
    this.#attempt?.rfb.clipboardPasteFrom(text);
  }

  /** Answers a server that asked for credentials; they are kept for reconnects. */
  sendCredentials(credentials: RfbCredentials): void {
    const attempt = this.#attempt;
    if (!attempt) return;
    this.#credentials = credentials;
    this.#startTimeout(attempt);
    attempt.rfb.sendCredentials(credentials);
    this.#options.onStatus({ state: 'connecting' });
  }

  /** Puts the keyboard on the remote screen. */
  focus(): void {
    this.#attempt?.rfb.focus({ preventScroll: true });
  }

  get #hasKey(): boolean {
    return Boolean(this.#url.searchParams.get('key'));
  }

  /** Asks what the address leads to; the answer is taken unless another question or the end comes first. */
  #fetchInfo(handle: (info: ViewInfo) => void): void {
    this.#infoRequest?.abort();
    const url = viewInfoUrl(this.#url);
    if (!url) {
      handle({ state: 'unknown' });
      return;
    }
    const { signal } = (this.#infoRequest = new AbortController());
    void fetchViewInfo(url, signal).then((info) => {
      if (!signal.aborted) handle(info);
    });
  }

  /** Keeps to the session that an answer names; returns why there is nothing to see any more, if so. */
  #checkSession(info: ViewInfo): Loss | null {
    if (info.state === 'unknown') return null;
    this.#notFoundInARow = info.state === 'absent' ? this.#notFoundInARow + 1 : 0;
    if (this.#hasKey && this.#notFoundInARow > 0 && this.#notFoundInARow < MAX_NOT_FOUND)
      return null;
    if (info.state !== 'shown') return { kind: info.state };
    // A screen that all sessions share, or an original's.
    if (info.session === null && info.key === null) return null;
    const named = this.#session !== null && info.session !== null;
    // Without a name for what was shown before, only a key can tell that it was this session's.
    const same = named ? this.#session === info.session : this.#hasKey || !this.#opened;
    if (!same) return { kind: 'over' };
    this.#rememberSession(info);
    return null;
  }

  #rememberSession({ session, key }: { session: string | null; key: string | null }): void {
    this.#session ??= session;
    if (key === null || this.#hasKey) return;
    this.#url = new URL(this.#url);
    this.#url.searchParams.set('key', key);
    // The key opens this view alone, and addresses are written into the logs of proxies.
    this.#url.searchParams.delete('access_token');
  }

  #stop(loss: Loss): void {
    this.#options.onStatus({ state: 'disconnected', loss, retryAt: null });
  }

  #connect(): void {
    const { target } = this.#options;
    let attempt: Attempt;
    try {
      const socket = new WebSocket(this.#url, ['binary']);
      const ending: Attempt['ending'] = { event: null };
      // Before noVNC takes the socket, so that the reason is there when noVNC reports the end.
      socket.addEventListener('close', (event) => {
        ending.event = event;
      });
      socket.addEventListener('open', () => {
        this.#opened = true;
      });
      socket.addEventListener('message', ({ data }) => {
        if (data instanceof ArrayBuffer) this.#received += data.byteLength;
      });
      const credentials = this.#credentials;
      const rfb = new RFB(target, socket, credentials ? { credentials } : {});
      attempt = { rfb, ending, refusal: null, connectedAt: null, timeout: undefined };
    } catch (error) {
      // A URL this page may not open (ws: from an https: page) stays forbidden: no second try.
      const text = error instanceof Error ? error.message : String(error);
      this.#stop({ kind: 'reported', text });
      return;
    }

    this.#attempt = attempt;
    this.#startTimeout(attempt);
    attempt.rfb.scaleViewport = this.#scaled;
    attempt.rfb.background = 'transparent';
    attempt.rfb.viewOnly = this.#viewOnly;
    this.#listen(attempt);
  }

  #listen(attempt: Attempt): void {
    const { rfb } = attempt;
    const whileCurrent = <E>(react: (event: E) => void) => {
      return (event: E) => {
        if (this.#attempt === attempt) react(event);
      };
    };

    rfb.addEventListener(
      'connect',
      whileCurrent(() => {
        clearTimeout(attempt.timeout);
        attempt.connectedAt = Date.now();
        this.#lastRefusal = null;
        this.#options.onStatus({ state: 'connected' });
        if (this.#session !== null || this.#hasKey) return;
        // The gateway could not say whose screen this is before; while it is shown, it is this one's.
        this.#fetchInfo((info) => {
          if (this.#attempt === attempt && info.state === 'shown') this.#rememberSession(info);
        });
      }),
    );
    rfb.addEventListener(
      'credentialsrequired',
      whileCurrent((event) => {
        // A person types at their own pace.
        clearTimeout(attempt.timeout);
        const { types: wanted } = event.detail;
        this.#options.onStatus({ state: 'protected', wanted, refusal: this.#lastRefusal });
      }),
    );
    rfb.addEventListener(
      'securityfailure',
      whileCurrent((event) => {
        // The same password would be refused again; the next attempt asks for another.
        this.#credentials = null;
        this.#lastRefusal = { kind: 'refused', text: event.detail.reason };
        attempt.refusal = this.#lastRefusal;
      }),
    );
    rfb.addEventListener(
      'serververification',
      whileCurrent(() => {
        // The gateway stands between this page and the VNC server and is trusted to know it; the
        // server's key says nothing to the person watching.
        rfb.approveServer();
      }),
    );
    rfb.addEventListener(
      'clipboard',
      whileCurrent((event) => {
        this.#options.onClipboard?.(event.detail.text);
      }),
    );
    rfb.addEventListener(
      'disconnect',
      whileCurrent((event) => {
        this.#lose(attempt, lossOf(attempt, event.detail.clean));
      }),
    );
  }

  #startTimeout(attempt: Attempt): void {
    attempt.timeout = window.setTimeout(() => {
      this.#lose(attempt, { kind: 'timeout' });
      attempt.rfb.disconnect();
    }, CONNECT_TIMEOUT_MS);
  }

  #lose(attempt: Attempt, loss: Loss): void {
    clearTimeout(attempt.timeout);
    this.#attempt = null;
    const now = Date.now();
    const wasStable = attempt.connectedAt !== null && now - attempt.connectedAt >= STABLE_AFTER_MS;
    this.#failures = wasStable ? 1 : this.#failures + 1;
    const retryAt = now + reconnectDelay(this.#failures);
    this.#stop(loss);
    this.#fetchInfo((info) => {
      const end = this.#checkSession(info);
      if (end) {
        this.#stop(end);
        return;
      }
      const blocked = info.state === 'shown' && !this.#opened;
      const reason: Loss = blocked ? { kind: 'blocked' } : loss;
      this.#options.onStatus({ state: 'disconnected', loss: reason, retryAt });
      this.#retryTimer = window.setTimeout(
        () => {
          this.open();
        },
        Math.max(0, retryAt - Date.now()),
      );
    });
  }
}

/** Why a connection ended, from the most telling source there is. */
function lossOf(attempt: Attempt, clean: boolean): Loss {
  if (attempt.refusal !== null) return attempt.refusal;
  const text = attempt.ending.event?.reason.trim();
  if (text) return { kind: 'reported', text: /[.!?]$/.test(text) ? text : `${text}.` };
  if (attempt.connectedAt === null) return { kind: 'unreachable' };
  return { kind: clean ? 'lost' : 'unreadable' };
}

/** How long to wait before the next attempt after `failures` failed ones: 1, 2, 4, 8, 10, 10 … s. */
function reconnectDelay(failures: number): number {
  return Math.min(FIRST_RETRY_DELAY_MS * 2 ** Math.max(0, failures - 1), LONGEST_RETRY_DELAY_MS);
}

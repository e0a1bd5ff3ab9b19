import RFB, { type RfbCredentials } from '@novnc/novnc';

import type { RemoteKey } from './keys.ts';
import type { LiveStatus, Loss } from './status.ts';
import { fetchViewInfo, type ViewInfo, viewInfoUrl } from './viewInfo.ts';

/** Timeout of a connection attempt. */
const CONNECT_TIMEOUT_MS = 15_000;
/** After a connection that lasted this long, retries start again with the short delay. */
const STABLE_AFTER_MS = 10_000;
/**
 * A view with a key counts as gone after this many "not found" answers in a row: a control that has just
 * started does not know its workers yet.
 */
const MAX_NOT_FOUND = 3;

/** The time between two requests for the state of a session that is being restarted. */
const RESTART_POLL_MS = 1000;
const FIRST_RETRY_DELAY_MS = 1000;
const LONGEST_RETRY_DELAY_MS = 10_000;

/** Keys that may be held when control is taken away: keysym and code. */
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

/** The parameters of a live view. */
export interface LiveConnectionOptions {
  /** The element that gets the canvas. */
  target: HTMLElement;
  /** The WebSocket URL of the VNC server, with the view's `key` if it is known. */
  url: URL;
  /** View only: no keys, clicks or touches are sent. */
  viewOnly: boolean;
  /** Called on every change of state. */
  onStatus: (status: LiveStatus) => void;
  /** Called with each text copied in the session; noVNC receives it only while it has control. */
  onClipboard?: (text: string) => void;
}

/** One connection attempt: noVNC's client and what is known about it. */
interface Attempt {
  rfb: RFB;
  /** The close event of its socket, which noVNC does not expose; null while it is open. */
  ending: { event: CloseEvent | null };
  refusal: Loss | null;
  connectedAt: number | null;
  timeout: number | undefined;
}

/**
 * A live view that reconnects. noVNC's client handles a single connection; this wrapper notices the loss,
 * reports the reason, and retries with growing delays until it is closed or the session is over. The panel
 * and the noVNC page both use it.
 *
 * It shows one session and never another, although the number in its address is reused for later sessions. So
 * it gets the session's key from the gateway before it connects by number alone, and checks after each loss
 * whether the session is over. A gateway that provides no view info, such as an original one, is trusted.
 */
export class LiveConnection {
  readonly #options: LiveConnectionOptions;
  #viewOnly: boolean;
  #scaled = true;
  #received = 0;
  #credentials: RfbCredentials | null = null;
  /** Why the last credentials were refused; shown until new ones are sent. */
  #lastRefusal: Loss | null = null;
  #attempt: Attempt | null = null;
  /** The WebSocket URL, with the key as soon as it is known. */
  #url: URL;
  /** The id of its session; null until it is known. */
  #session: string | null = null;
  /** Whether any WebSocket of it ever opened; then no proxy blocks WebSockets. */
  #opened = false;
  #infoRequest: AbortController | null = null;
  /** The number of "not found" answers in a row. */
  #notFoundInARow = 0;
  #failures = 0;
  #retryTimer: number | undefined;

  constructor(options: LiveConnectionOptions) {
    this.#options = options;
    this.#url = options.url;
    this.#viewOnly = options.viewOnly;
  }

  /** Connects, and reconnects until {@link close} or until its session is over. */
  open(): void {
    this.#options.onStatus({ state: 'connecting' });
    if (this.#hasKey) {
      this.#connect();
      return;
    }
    this.#fetchInfo((info) => {
      this.#unlessOver(info, () => {
        this.#connect();
      });
    });
  }

  /** Closes the connection for good and removes the canvas. */
  close(): void {
    clearTimeout(this.#retryTimer);
    this.#infoRequest?.abort();
    const attempt = this.#attempt;
    if (attempt) {
      // Cleared first, so that noVNC's late events are ignored.
      this.#attempt = null;
      clearTimeout(attempt.timeout);
      attempt.rfb.disconnect();
    }
  }

  /** Switches control on or off without reconnecting. */
  setViewOnly(viewOnly: boolean): void {
    this.#viewOnly = viewOnly;
    const rfb = this.#attempt?.rfb;
    if (!rfb || rfb.viewOnly === viewOnly) return;
    // noVNC stops sending before it releases keys, so held ones would stay down in the session.
    if (viewOnly) for (const [keysym, code] of MODIFIER_KEYS) rfb.sendKey(keysym, code, false);
    rfb.viewOnly = viewOnly;
  }

  /** Switches between scaling to the element's size and original size. */
  setScaled(scaled: boolean): void {
    this.#scaled = scaled;
    if (this.#attempt) this.#attempt.rfb.scaleViewport = scaled;
  }

  /** The number of bytes received, over all connections. */
  get received(): number {
    return this.#received;
  }

  /** Presses a key (`true`), releases it (`false`), or both; ignored in view-only mode. */
  sendKey({ keysym, code }: RemoteKey, down?: boolean): void {
    this.#attempt?.rfb.sendKey(keysym, code, down);
  }

  /** Sends Ctrl+Alt+Del, which the local system would intercept. */
  sendCtrlAltDel(): void {
    this.#attempt?.rfb.sendCtrlAltDel();
  }

  /** Puts a text on the session's clipboard; ignored in view-only mode. */
  sendText(text: string): void {
    this.#attempt?.rfb.clipboardPasteFrom(text);
  }

  /** Sends the credentials that the server asked for, and keeps them for reconnects. */
  sendCredentials(credentials: RfbCredentials): void {
    const attempt = this.#attempt;
    if (!attempt) return;
    this.#credentials = credentials;
    this.#startTimeout(attempt);
    attempt.rfb.sendCredentials(credentials);
    this.#options.onStatus({ state: 'connecting' });
  }

  /** Focuses the screen, so that it gets the keyboard. */
  focus(): void {
    this.#attempt?.rfb.focus({ preventScroll: true });
  }

  get #hasKey(): boolean {
    return Boolean(this.#url.searchParams.get('key'));
  }

  /** Fetches the view info; the result is ignored after another request or the close. */
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

  /** Stops if the session is over, waits while it is being restarted, and otherwise continues. */
  #unlessOver(info: ViewInfo, proceed: () => void): void {
    if (info.state === 'restarting') {
      this.#awaitRestart();
      return;
    }
    const end = this.#checkSession(info);
    if (end) this.#stop(end);
    else proceed();
  }

  /** Connects again when the session has been restarted. There is no screen before. */
  #awaitRestart(): void {
    const retryAt = Date.now() + RESTART_POLL_MS;
    this.#failures = 0;
    this.#notFoundInARow = 0;
    this.#options.onStatus({ state: 'disconnected', loss: { kind: 'restarting' }, retryAt });
    this.#retryTimer = window.setTimeout(() => {
      this.#fetchInfo((info) => {
        this.#unlessOver(info, () => {
          this.open();
        });
      });
    }, RESTART_POLL_MS);
  }

  /**
   * Checks that the address still leads to the same session; returns the reason if there is nothing to show
   * any more.
   */
  #checkSession(info: Exclude<ViewInfo, { state: 'restarting' }>): Loss | null {
    if (info.state === 'unknown') return null;
    this.#notFoundInARow = info.state === 'absent' ? this.#notFoundInARow + 1 : 0;
    if (this.#hasKey && this.#notFoundInARow > 0 && this.#notFoundInARow < MAX_NOT_FOUND)
      return null;
    if (info.state !== 'shown') return { kind: info.state };
    // A shared screen, or an original gateway.
    if (info.session === null && info.key === null) return null;
    const named = this.#session !== null && info.session !== null;
    // Before the session was known, only the key shows that it is still the same.
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
    // The key opens this view alone, and URLs appear in the logs of proxies.
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
      // Registered before noVNC's own listener, so that the reason is known when noVNC reports the close.
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
      // A URL that this page may not open (ws: from an https: page) is not retried.
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
        // The gateway did not know the session before; while the screen is shown, its answer is about this
        // session.
        this.#fetchInfo((info) => {
          if (this.#attempt === attempt && info.state === 'shown') this.#rememberSession(info);
        });
      }),
    );
    rfb.addEventListener(
      'credentialsrequired',
      whileCurrent((event) => {
        // No timeout while the user types.
        clearTimeout(attempt.timeout);
        const { types: wanted } = event.detail;
        this.#options.onStatus({ state: 'protected', wanted, refusal: this.#lastRefusal });
      }),
    );
    rfb.addEventListener(
      'securityfailure',
      whileCurrent((event) => {
        // The same password would be refused again, so the next attempt asks for another.
        this.#credentials = null;
        this.#lastRefusal = { kind: 'refused', text: event.detail.reason };
        attempt.refusal = this.#lastRefusal;
      }),
    );
    rfb.addEventListener(
      'serververification',
      whileCurrent(() => {
        // The gateway is trusted to know the VNC server; its key would mean nothing to the user.
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
      this.#unlessOver(info, () => {
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
    });
  }
}

/** The reason of a lost connection, from the most specific source. */
function lossOf(attempt: Attempt, clean: boolean): Loss {
  if (attempt.refusal !== null) return attempt.refusal;
  const text = attempt.ending.event?.reason.trim();
  if (text) return { kind: 'reported', text: /[.!?]$/.test(text) ? text : `${text}.` };
  if (attempt.connectedAt === null) return { kind: 'unreachable' };
  return { kind: clean ? 'lost' : 'unreadable' };
}

/** The delay before the next attempt after `failures` failed ones: 1, 2, 4, 8, 10, 10 … s. */
function reconnectDelay(failures: number): number {
  return Math.min(FIRST_RETRY_DELAY_MS * 2 ** Math.max(0, failures - 1), LONGEST_RETRY_DELAY_MS);
}

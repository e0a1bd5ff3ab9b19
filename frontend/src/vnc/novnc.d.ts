/** The part of noVNC's API that this project uses; the package has no types. */
declare module '@novnc/novnc' {
  export interface RfbCredentials {
    username?: string;
    password?: string;
    target?: string;
  }

  export interface RfbEventMap {
    connect: CustomEvent;
    clipboard: CustomEvent<{ text: string }>;
    disconnect: CustomEvent<{ clean: boolean }>;
    credentialsrequired: CustomEvent<{ types: (keyof RfbCredentials)[] }>;
    securityfailure: CustomEvent<{ status: number; reason?: string }>;
    serververification: CustomEvent;
  }

  export default class RFB {
    constructor(
      target: HTMLElement,
      channel: WebSocket,
      options?: { credentials?: RfbCredentials },
    );
    viewOnly: boolean;
    scaleViewport: boolean;
    background: string;
    addEventListener<K extends keyof RfbEventMap>(
      type: K,
      listener: (event: RfbEventMap[K]) => void,
    ): void;
    approveServer(): void;
    sendCredentials(credentials: RfbCredentials): void;
    sendKey(keysym: number, code: string, down?: boolean): void;
    sendCtrlAltDel(): void;
    clipboardPasteFrom(text: string): void;
    focus(options?: FocusOptions): void;
    disconnect(): void;
  }
}

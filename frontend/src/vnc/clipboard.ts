/**
 * The longest text that a person may put on a session's clipboard, in bytes of UTF-8. Everything between this page and the
 * session has room for it (`CLIPBOARD_LIMIT` in `actors/src/rfb.rs`), and refuses more.
 */
export const CLIPBOARD_LIMIT = 1 << 20;

/** How many bytes of UTF-8 a text has. */
export function clipboardBytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

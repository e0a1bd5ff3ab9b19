/**
 * The longest text for a session's clipboard, in bytes of UTF-8. All parts between this page and the session
 * have the same limit (`CLIPBOARD_LIMIT` in `actors/src/rfb.rs`).
 */
export const CLIPBOARD_LIMIT = 1 << 20;

/** The length of a text in bytes of UTF-8. */
export function clipboardBytes(text: string): number {
  return new TextEncoder().encode(text).length;
}

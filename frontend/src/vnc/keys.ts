/** A key as VNC knows it: what it means (an X11 keysym) and where it is (as in `KeyboardEvent.code`). */
export interface RemoteKey {
  name: string;
  keysym: number;
  code: string;
}

/** Keys that can be held for those that follow. */
export const HELD_KEYS: readonly RemoteKey[] = [
  { name: 'Ctrl', keysym: 0xffe3, code: 'ControlLeft' },
  { name: 'Alt', keysym: 0xffe9, code: 'AltLeft' },
  { name: 'Super', keysym: 0xffeb, code: 'MetaLeft' },
];

/** Keys that the browser here, or the page's own keyboard use, takes for itself. */
export const PRESSED_KEYS: readonly RemoteKey[] = [
  { name: 'Esc', keysym: 0xff1b, code: 'Escape' },
  { name: 'Tab', keysym: 0xff09, code: 'Tab' },
];

/** F1 to F12. */
export const FUNCTION_KEYS: readonly RemoteKey[] = Array.from({ length: 12 }, (_, index) => ({
  name: `F${index + 1}`,
  keysym: 0xffbe + index,
  code: `F${index + 1}`,
}));

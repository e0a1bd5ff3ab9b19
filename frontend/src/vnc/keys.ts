/** A key in VNC: its X11 keysym and its position (as in `KeyboardEvent.code`). */
export interface RemoteKey {
  name: string;
  keysym: number;
  code: string;
}

/** Modifiers that can be held for the following keys. */
export const HELD_KEYS: readonly RemoteKey[] = [
  { name: 'Ctrl', keysym: 0xffe3, code: 'ControlLeft' },
  { name: 'Alt', keysym: 0xffe9, code: 'AltLeft' },
  { name: 'Super', keysym: 0xffeb, code: 'MetaLeft' },
];

/** Keys that the local browser or the panel handles itself. */
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

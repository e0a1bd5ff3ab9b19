import { Store } from './store.ts';

const PREFIX = 'camofleet.';

/**
 * A user's choice, kept in localStorage. Where the browser stores nothing (private windows, blocked storage)
 * it lasts until the page is closed.
 */
export class Preference<T> extends Store<T> {
  readonly #key: string;

  /**
   * @param name its storage key
   * @param fallback its value until the user chooses another
   * @param isValid checks what was stored, possibly by another version of the panel
   * @param upgrade brings what an earlier version stored into the present form
   */
  constructor(
    name: string,
    fallback: T,
    isValid: (value: unknown) => value is T,
    upgrade: (value: unknown) => unknown = (value) => value,
  ) {
    super(read(PREFIX + name, fallback, isValid, upgrade));
    this.#key = PREFIX + name;
  }

  override set(value: T): void {
    super.set(value);
    try {
      localStorage.setItem(this.#key, JSON.stringify(value));
    } catch {
      // Storage is full or blocked: the choice lasts until the page is closed.
    }
  }
}

function read<T>(
  key: string,
  fallback: T,
  isValid: (value: unknown) => value is T,
  upgrade: (value: unknown) => unknown,
): T {
  try {
    const value = upgrade(JSON.parse(localStorage.getItem(key) ?? 'null'));
    return isValid(value) ? value : fallback;
  } catch {
    return fallback;
  }
}

/** A type guard for a value that is one of these. */
export function oneOf<const T extends string | number | boolean>(
  ...choices: readonly T[]
): (value: unknown) => value is T {
  return (value): value is T => choices.some((choice) => choice === value);
}

import { Store } from './store.ts';

const PREFIX = 'camofleet.';

/**
 * Something that a person chose once and finds again on the next visit. Where the browser keeps nothing (private
 * windows, blocked storage) it lasts for the visit.
 */
export class Preference<T> extends Store<T> {
  readonly #key: string;

  /**
   * @param name what it is stored under
   * @param fallback its value until something else is chosen
   * @param isValid whether what was stored, by this version of the panel or another, is a value
   */
  constructor(name: string, fallback: T, isValid: (value: unknown) => value is T) {
    super(read(PREFIX + name, fallback, isValid));
    this.#key = PREFIX + name;
  }

  override set(value: T): void {
    super.set(value);
    try {
      localStorage.setItem(this.#key, JSON.stringify(value));
    } catch {
      // Full or forbidden: it lasts for this visit.
    }
  }
}

function read<T>(key: string, fallback: T, isValid: (value: unknown) => value is T): T {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(key) ?? 'null');
    return isValid(value) ? value : fallback;
  } catch {
    return fallback;
  }
}

/** A check for a value that is one of these. */
export function oneOf<const T extends string | number | boolean>(
  ...choices: readonly T[]
): (value: unknown) => value is T {
  return (value): value is T => choices.some((choice) => choice === value);
}

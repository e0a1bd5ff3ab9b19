import { Store } from './store.ts';

/** Since when (ms since the epoch) the API has not answered; null while it does. */
export const offlineSince = new Store<number | null>(null);

/** Notes that the API answered, whatever the answer was. */
export function noteAnswer(): void {
  offlineSince.set(null);
}

/** Notes that the API could not be reached; only the first of several failures sets the time. */
export function noteSilence(): void {
  if (offlineSince.get() === null) offlineSince.set(Date.now());
}

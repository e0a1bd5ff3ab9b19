import { Store } from '../lib/store.ts';

const KEY = 'camofleet.openFleetNote';
const DISMISSED = 'dismissed';

/** Whether the person in front of this tab has put away the note that the fleet is open to everybody. */
export class OpenFleetNoteStore extends Store<boolean> {
  constructor() {
    super(isStored());
  }

  /** Puts it away for as long as the tab is there. */
  dismiss(): void {
    this.set(true);
    try {
      sessionStorage.setItem(KEY, DISMISSED);
    } catch {
      // Without storage it comes back with the next visit.
    }
  }
}

function isStored(): boolean {
  try {
    return sessionStorage.getItem(KEY) === DISMISSED;
  } catch {
    return false;
  }
}

/** Whether this tab's note was put away. */
export const openFleetNote = new OpenFleetNoteStore();

import { Store } from '../lib/store.ts';
import { useStore } from '../lib/useStore.ts';

/** A message in the corner of the panel. */
export interface Notice {
  id: number;
  kind: 'info' | 'error';
  text: string;
}

/** How long an info is shown; an error stays until it is dismissed. */
const INFO_LIFETIME_MS = 4000;

const notices = new Store<Notice[]>([]);
let lastId = 0;

/** Removes a notice. */
export function dismiss(id: number): void {
  notices.set(notices.get().filter((notice) => notice.id !== id));
}

/** Removes all notices. */
export function dismissAll(): void {
  notices.set([]);
}

function show(kind: Notice['kind'], text: string): number {
  lastId += 1;
  const id = lastId;
  // A notice with the same text replaces the previous one.
  notices.set([...notices.get().filter((notice) => notice.text !== text), { id, kind, text }]);
  return id;
}

/** Shows an info. */
export function notifyInfo(text: string): void {
  const id = show('info', text);
  setTimeout(() => {
    dismiss(id);
  }, INFO_LIFETIME_MS);
}

/** Shows an error. */
export function notifyError(text: string): void {
  show('error', text);
}

/** The current notices. */
export function useNotices(): Notice[] {
  return useStore(notices);
}

import { Store } from '../lib/store.ts';
import { useStore } from '../lib/useStore.ts';

/** Something the person should know, shown in the corner of the panel. */
export interface Notice {
  id: number;
  kind: 'info' | 'error';
  text: string;
}

/** Good news goes by itself; an error stays until it has been dismissed. */
const INFO_LIFETIME_MS = 4000;

const notices = new Store<Notice[]>([]);
let lastId = 0;

/** Takes a notice away. */
export function dismiss(id: number): void {
  notices.set(notices.get().filter((notice) => notice.id !== id));
}

/** Takes all notices away. */
export function dismissAll(): void {
  notices.set([]);
}

function show(kind: Notice['kind'], text: string): number {
  lastId += 1;
  const id = lastId;
  // The same text again replaces the old one: ten failures of one kind are one piece of news.
  notices.set([...notices.get().filter((notice) => notice.text !== text), { id, kind, text }]);
  return id;
}

/** Tells the person that something worked. */
export function notifyInfo(text: string): void {
  const id = show('info', text);
  setTimeout(() => {
    dismiss(id);
  }, INFO_LIFETIME_MS);
}

/** Tells the person that something failed. */
export function notifyError(text: string): void {
  show('error', text);
}

/** The notices to show. */
export function useNotices(): Notice[] {
  return useStore(notices);
}

import { useEffect } from 'react';

/** Names the page in the window's title, before the product's name. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · camofleet`;
  }, [title]);
}

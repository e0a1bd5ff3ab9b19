import { useEffect } from 'react';

/** Sets the window's title to the page's title and the product's name. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · camofleet`;
  }, [title]);
}

import { type RefObject, useEffect, useState } from 'react';

import { usePageVisible } from './usePageVisible.ts';

/** Whether any part of an element is visible: scrolled into view, in a visible tab. */
export function useInView(element: RefObject<Element | null>): boolean {
  const [reached, setReached] = useState(false);
  const shown = usePageVisible();

  useEffect(() => {
    if (!element.current) return;
    const observer = new IntersectionObserver((entries) => {
      setReached(entries.at(-1)?.isIntersecting ?? false);
    });
    observer.observe(element.current);
    return () => {
      observer.disconnect();
    };
  }, [element]);

  return reached && shown;
}

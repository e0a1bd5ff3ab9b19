import { type RefObject, useEffect, useState } from 'react';

/** Whether any part of an element is visible: scrolled into view, in a visible tab. */
export function useInView(element: RefObject<Element | null>): boolean {
  const [reached, setReached] = useState(false);
  const [shown, setShown] = useState(() => document.visibilityState === 'visible');

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

  useEffect(() => {
    const follow = () => {
      setShown(document.visibilityState === 'visible');
    };
    document.addEventListener('visibilitychange', follow);
    return () => {
      document.removeEventListener('visibilitychange', follow);
    };
  }, []);

  return reached && shown;
}

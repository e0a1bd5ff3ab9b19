import { useEffect, useEffectEvent } from 'react';

/** Elements that handle keys themselves. */
const OWN_KEYS = 'input, select, textarea, [role="dialog"], [role="menu"], [role="group"]';

/** Calls handlers for single keys pressed anywhere on the page; `undefined` ignores a key. */
export function useHotkeys(handlers: Readonly<Record<string, (() => void) | undefined>>): void {
  const press = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest(OWN_KEYS)) return;
    const handler = handlers[event.key];
    if (!handler) return;
    event.preventDefault();
    handler();
  });
  useEffect(() => {
    window.addEventListener('keydown', press);
    return () => {
      window.removeEventListener('keydown', press);
    };
  }, []);
}

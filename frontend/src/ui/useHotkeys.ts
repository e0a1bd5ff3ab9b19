import { useEffect, useEffectEvent } from 'react';

/** Where keys have a meaning of their own already. */
const OCCUPIED = 'input, select, textarea, [role="dialog"], [role="menu"], [role="group"]';

/** Lets single keys do something wherever the focus is on the page; `undefined` leaves a key alone. */
export function usePageKeys(deeds: Readonly<Record<string, (() => void) | undefined>>): void {
  const press = useEffectEvent((event: KeyboardEvent) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest(OCCUPIED)) return;
    const deed = deeds[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
  });
  useEffect(() => {
    window.addEventListener('keydown', press);
    return () => {
      window.removeEventListener('keydown', press);
    };
  }, []);
}

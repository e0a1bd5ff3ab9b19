import type { ReactNode } from 'react';

const PATHS = {
  check: 'M4 12.5l5 5L20 6.5',
  chevron: 'M6 9l6 6 6-6',
  clipboard: 'M9 4h6v3H9zM9 5H5v16h14V5h-4',
  close: 'M6 6l12 12M18 6L6 18',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  expand: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  external: 'M14 4h6v6M20 4l-9 9M18 14v6H4V6h6',
  keyboard: 'M2 6h20v12H2zM6 10h1M10 10h1M14 10h1M18 10h0M7 14h10',
  link: 'M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1',
  more: 'M6 12a1 1 0 1 1-2 0 1 1 0 0 1 2 0M13 12a1 1 0 1 1-2 0 1 1 0 0 1 2 0M20 12a1 1 0 1 1-2 0 1 1 0 0 1 2 0',
  next: 'M9 6l6 6-6 6',
  pin: 'M9 3h6l-1 7 4 3v2H6v-2l4-3zM12 15v6',
  plus: 'M12 5v14M5 12h14',
  previous: 'M15 6l-6 6 6 6',
  settings:
    'M4 7h9M17 7h3M4 17h3M11 17h9M15 5a2 2 0 1 1 0 4 2 2 0 0 1 0-4M9 15a2 2 0 1 1 0 4 2 2 0 0 1 0-4',
  screen: 'M3 5h18v12H3zM9 21h6M12 17v4',
  stop: 'M6 6h12v12H6z',
  touch: 'M20 12a8 8 0 1 1-2.3-5.7M20 3v4h-4',
} as const;

/** The names of the icons. */
export type IconName = keyof typeof PATHS;

/** A decorative icon; the text beside it or the element around it carries the name. */
export function Icon({ name }: { name: IconName }): ReactNode {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

import { oneOf, Preference } from '../lib/preference.ts';

/** How many tiles a page of the wall can have. */
export const LAYOUTS = [2, 4, 6, 9, 12, 16] as const;

/** How many tiles a page of the wall has. */
export type Layout = (typeof LAYOUTS)[number];

/** How many there are until a person chooses: on a desk's screen each is large enough to follow what happens. */
export const DEFAULT_LAYOUT: Layout = 9;

/** How many tiles a page of the wall had last. */
export const wallLayout = new Preference<Layout>('wall.tiles', DEFAULT_LAYOUT, oneOf(...LAYOUTS));

/** Whether the pinned screens beside the table were shown last. */
export const previewsOpen = new Preference<boolean>('pins.open', true, oneOf(true, false));

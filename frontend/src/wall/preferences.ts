import { oneOf, Preference } from '../lib/preference.ts';

/** The choices for the number of tiles per page. */
export const LAYOUTS = [2, 4, 6, 9, 12, 16] as const;

/** A number of tiles per page. */
export type Layout = (typeof LAYOUTS)[number];

/** The default: on a desktop screen each tile is large enough to follow what happens. */
export const DEFAULT_LAYOUT: Layout = 9;

/** The user's number of tiles per page. */
export const wallLayout = new Preference<Layout>('wall.tiles', DEFAULT_LAYOUT, oneOf(...LAYOUTS));

/** Whether the pinned screens beside the table are shown. */
export const previewsOpen = new Preference<boolean>('pins.open', true, oneOf(true, false));

/** Servers of Debian that the tests' set-up unpacks without installing them. */
import { fileURLToPath } from 'node:url';

/** The directory that stands for `/`. */
export const UNPACKED = fileURLToPath(new URL('../.unpacked', import.meta.url));

import type { TFunction } from 'i18next';

/** The pools with settings of their own, whose names are translated; the others have names of the operator's choice. */
const CLASSIC = ['headless', 'vnc'] as const;
type Classic = (typeof CLASSIC)[number];

/** The names of pools, each once: first those with settings of their own, then the others in alphabetical order. */
export function poolNames(pools: readonly Readonly<Record<string, unknown>>[]): string[] {
  const names = new Set(pools.flatMap((some) => Object.keys(some)));
  const classic = CLASSIC.filter((name) => names.has(name));
  return [...classic, ...[...names].filter((name) => !classic.includes(name as Classic)).sort()];
}

/** The name of a pool as it is shown. */
export function poolText(t: TFunction<'fleet'>, name: string): string {
  return CLASSIC.includes(name as Classic) ? t(`pools.${name as Classic}`) : name;
}

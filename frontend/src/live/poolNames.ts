import type { TFunction } from 'i18next';

/** The pools with settings of their own, whose names are translated; the others have names of the operator's choice. */
const CLASSIC = ['headless', 'vnc'] as const;
type Classic = (typeof CLASSIC)[number];

/** The names of pools, each once: first those with settings of their own, then the others in alphabetical order. */
export function poolNames(pools: readonly Readonly<Record<string, unknown>>[]): string[] {
  const names = new Set(pools.flatMap((some) => Object.keys(some)));
  const classic = CLASSIC.filter((name) => names.has(name));
  return [...classic, ...[...names].filter((name) => !isClassicPool(name)).sort()];
}

/** Whether a pool has settings of its own, and so a name that is translated. */
export function isClassicPool(name: string): name is Classic {
  return CLASSIC.includes(name as Classic);
}

/** The name of a pool as it is shown within a line. */
export function poolText(t: TFunction<'fleet'>, name: string): string {
  return isClassicPool(name) ? t(`pools.${name}`) : name;
}

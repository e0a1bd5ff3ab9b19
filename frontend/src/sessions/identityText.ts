import type { Identity } from '../api/types.ts';

/** A size in pixels. */
export function sizeText({ width, height }: { width: number; height: number }): string {
  return `${width}×${height}`;
}

const SYSTEMS = { windows: 'Windows', macos: 'macOS', linux: 'Linux' } as const;

/** The name of an operating system; one that this panel does not know is shown as it was sent. */
export function systemText(os: string): string {
  return Object.entries(SYSTEMS).find(([known]) => known === os)?.[1] ?? os;
}

/** An identity in a line: languages, time zone, screen; empty if nothing of it is set. */
export function identityLine(identity: Identity | null): string {
  if (identity === null) return '';
  const { locale, timezone, screen } = identity;
  return [locale?.join(', '), timezone, screen && sizeText(screen)].filter(Boolean).join(' · ');
}

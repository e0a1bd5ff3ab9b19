import type { Identity } from '../api/types.ts';

/** A size in pixels. */
export function sizeText({ width, height }: { width: number; height: number }): string {
  return `${width}×${height}`;
}

/** An identity in a line: languages, time zone, screen; empty if nothing of it is set. */
export function identityLine(identity: Identity | null): string {
  if (identity === null) return '';
  const { locale, timezone, screen } = identity;
  return [locale?.join(', '), timezone, screen && sizeText(screen)].filter(Boolean).join(' · ');
}

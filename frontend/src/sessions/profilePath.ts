/** The path of the page of the profiles with this name in the panel. */
export function profilePath(name: string): string {
  return `/profiles?profile=${encodeURIComponent(name)}`;
}

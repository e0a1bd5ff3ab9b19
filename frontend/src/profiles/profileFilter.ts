import type { Profile } from '../api/types.ts';
import { exitKey } from '../sessions/exits.ts';
import { identityLine } from '../sessions/identityText.ts';
import { hasLabel, labelText } from '../sessions/sessionFilter.ts';

/** A filter of profiles; an empty text matches everything. */
export interface ProfileFilter {
  /** Words that must all occur in the name, worker, identity, proxy, labels or notes. */
  search: string;
  /** A label as `key=value`, or a key alone. */
  label: string;
  worker: string;
  /** The one name to show. */
  name: string;
}

/** A filter that matches everything. */
export const NO_FILTER: ProfileFilter = { search: '', label: '', worker: '', name: '' };

/** Whether a filter excludes anything. */
export function isFiltering(filter: ProfileFilter): boolean {
  return Object.values(filter).some((value: string) => value.trim() !== '');
}

/** What is searched, by profile: an unchanged one is the same object, and searching is typing. */
const searched = new WeakMap<Profile, string>();

function searchedText(profile: Profile): string {
  const known = searched.get(profile);
  if (known !== undefined) return known;
  const { name, worker = '', notes, labels, identity, proxy, browser } = profile;
  const text = [
    name,
    worker,
    browser,
    identityLine(identity),
    proxy === null ? '' : exitKey(proxy),
    ...Object.entries(labels).map(labelText),
    notes,
  ]
    .join(' ')
    .toLowerCase();
  searched.set(profile, text);
  return text;
}

/** The profiles that match a filter, in their order. */
export function filterProfiles(
  profiles: readonly Profile[],
  { search, label, worker, name }: ProfileFilter,
): Profile[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return profiles.filter((profile) => {
    if (name !== '' && profile.name !== name) return false;
    if (worker !== '' && profile.worker !== worker) return false;
    if (!hasLabel(profile, label)) return false;
    if (words.length === 0) return true;
    const text = searchedText(profile);
    return words.every((word) => text.includes(word));
  });
}

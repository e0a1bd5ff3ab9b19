import type { Identity, ProxyCheck } from '../api/types.ts';
import { countriesOfZone, countryOfTag, mainLanguage } from './places.ts';

/** A part of an identity that contradicts the place of an exit. */
export interface Misfit {
  field: 'locale' | 'timezone';
  /** What the identity has. */
  own: string;
  /** What the exit has: a country by its code, or a time zone. */
  exit: string;
}

/** The time of a zone as the difference to UTC, such as `GMT+01:00`; null for a zone that this browser does not know. */
function offsetOf(timeZone: string, now: Date): string | null {
  try {
    const parts = new Intl.DateTimeFormat('en', {
      timeZone,
      timeZoneName: 'longOffset',
    }).formatToParts(now);
    return parts.find(({ type }) => type === 'timeZoneName')?.value ?? null;
  } catch {
    return null;
  }
}

function localeMisfit(tags: readonly string[], country: string): Misfit | null {
  const placed = tags.filter((tag) => countryOfTag(tag) !== null);
  if (placed.length === 0) return null;
  const spoken = mainLanguage(country);
  const fits = placed.some((tag) => countryOfTag(tag) === country || tag.split('-')[0] === spoken);
  return fits ? null : { field: 'locale', own: tags.join(', '), exit: country };
}

function zoneMisfit(own: string, { country, timezone }: ProxyCheck, now: Date): Misfit | null {
  if (own === timezone) return null;
  if (timezone !== null) {
    const [there, here] = [offsetOf(timezone, now), offsetOf(own, now)];
    if (there !== null && here !== null && there !== here) {
      return { field: 'timezone', own, exit: timezone };
    }
  }
  const countries = countriesOfZone(own);
  if (country === null || countries.length === 0 || countries.includes(country)) return null;
  return { field: 'timezone', own, exit: country };
}

/**
 * What of an identity contradicts the place of its exit, by the rules of the API: a language fits in its country and
 * where most people speak it, a time zone where the time is the same and the country too.
 */
export function misfits(
  identity: Identity | null,
  exit: ProxyCheck,
  now = new Date(),
): readonly Misfit[] {
  if (identity === null) return [];
  const { locale, timezone } = identity;
  return [
    locale && exit.country !== null ? localeMisfit(locale, exit.country) : null,
    timezone === null ? null : zoneMisfit(timezone, exit, now),
  ].filter((found) => found !== null);
}

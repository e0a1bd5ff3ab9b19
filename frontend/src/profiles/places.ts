import { getTimezone } from 'countries-and-timezones';

import type { Identity } from '../api/types.ts';
import { systemText } from '../sessions/identityText.ts';

/** The country in a language tag, as `AT` in `de-AT`; a group of countries, as in `es-419`, is none. */
export function countryOfTag(tag: string): string | null {
  const country = tag
    .split('-')
    .slice(1)
    .find((part) => /^[a-z]{2}$/i.test(part));
  return country?.toUpperCase() ?? null;
}

/** The countries that have a time zone, the one that it belongs to first; none for zones such as `UTC`. */
export function countriesOfZone(zone: string): readonly string[] {
  return getTimezone(zone)?.countries ?? [];
}

/** The language that most people speak in a country. */
export function mainLanguage(country: string): string | null {
  try {
    return new Intl.Locale('und', { region: country }).maximize().language;
  } catch {
    return null;
  }
}

/** The country that an identity seems to live in: of its languages, else of its time zone. */
export function countryOf(identity: Identity | null): string | null {
  const { locale = null, timezone = null } = identity ?? {};
  const ofLanguages = (locale ?? []).map(countryOfTag).find((country) => country !== null);
  if (ofLanguages !== undefined) return ofLanguages;
  return timezone === null ? null : (countriesOfZone(timezone)[0] ?? null);
}

/** The operating systems that an identity was requested with. */
export function systemOf(identity: Identity | null): string | null {
  // Earlier workers don't send it.
  return identity?.os?.map(systemText).join(' / ') ?? null;
}

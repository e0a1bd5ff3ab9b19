import type { CreateSession } from '../api/types.ts';

/** The identity fields of the launch form as typed; an empty text means "what the browser has by itself". */
export interface IdentityDraft {
  /** `auto`, or language tags separated by commas, the preferred one first. */
  locale: string;
  /** `auto`, or a time zone of the IANA database. */
  timezone: string;
  /** `auto`, or latitude and longitude, separated by a comma. */
  geolocation: string;
  /** Width and height in pixels, as `1366x768`. */
  screen: string;
  /** What happens if it does not fit the place of the exit; empty: the create is refused. */
  coherence: '' | 'warn';
}

/** No identity. */
export const NO_IDENTITY: IdentityDraft = {
  locale: '',
  timezone: '',
  geolocation: '',
  screen: '',
  coherence: '',
};

/** The word for what is taken from the exit of the session's proxy. */
const AUTO = 'auto';

/** The longest text of a field, in characters. */
export const IDENTITY_MAX_LENGTH = 256;

type Part = Pick<CreateSession, 'locale' | 'timezone' | 'geolocation' | 'screen' | 'coherence'>;

/** A place as typed; null if it is none. */
export function placeOf(text: string): { latitude: number; longitude: number } | null {
  const match = /^([+-]?\d+(?:\.\d+)?)\s*[,;\s]\s*([+-]?\d+(?:\.\d+)?)$/.exec(text.trim());
  const [latitude, longitude] = [Number(match?.[1]), Number(match?.[2])];
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? { latitude, longitude } : null;
}

/** A size as typed; null if it is none that a browser can use. */
export function sizeOf(text: string): { width: number; height: number } | null {
  const match = /^(\d{3,4})\s*[x×]\s*(\d{3,4})$/i.exec(text.trim());
  const [width, height] = [Number(match?.[1]), Number(match?.[2])];
  const fits = (side: number) => side >= 320 && side <= 7680;
  return fits(width) && fits(height) ? { width, height } : null;
}

/** The part of a create request for a valid draft; empty fields are omitted. */
export function toIdentity(draft: IdentityDraft): Part {
  const { locale, timezone, geolocation, screen, coherence } = draft;
  const part: Part = {};
  const languages = locale
    .split(/[,\s]+/)
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '');
  if (languages.length > 0) part.locale = languages.length === 1 ? (languages[0] ?? '') : languages;
  if (timezone.trim() !== '') part.timezone = timezone.trim();
  const place = placeOf(geolocation);
  if (geolocation.trim() === AUTO) part.geolocation = AUTO;
  else if (place !== null) part.geolocation = place;
  const size = sizeOf(screen);
  if (size !== null) part.screen = size;
  if (coherence !== '') part.coherence = coherence;
  return part;
}

/** The fields that are not empty and can't be read. */
export function unreadable({ geolocation, screen }: IdentityDraft): ('geolocation' | 'screen')[] {
  const place = geolocation.trim();
  const fields: ('geolocation' | 'screen')[] = [];
  if (place !== '' && place !== AUTO && placeOf(place) === null) fields.push('geolocation');
  if (screen.trim() !== '' && sizeOf(screen) === null) fields.push('screen');
  return fields;
}

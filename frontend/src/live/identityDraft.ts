import type { CreateSession, Profile } from '../api/types.ts';

/** The identity fields of the launch form as typed; an empty text means "what the browser has by itself". */
export interface IdentityDraft {
  /** `auto`, or language tags separated by commas, the preferred one first. */
  locale: string;
  /** `auto`, or a time zone of the IANA database. */
  timezone: string;
  /** `auto`, or latitude and longitude, separated by a comma. */
  geolocation: string;
  /** Width and height in pixels, as `1366x768`, or limits for each, as `1280-1920x720-1080`. */
  screen: string;
  /** What pages can do with WebRTC; empty: what the worker's setting says. */
  webrtc: '' | 'off' | 'proxy' | 'on';
  /** Whether pages show images; empty: they do. */
  images: '' | 'block';
  /** Preferences of Firefox, each on a line of its own as `name = value`. */
  preferences: string;
  /** The engine of the browser; empty: any. */
  engine: '' | 'firefox' | 'camoufox';
  /** What happens if it does not fit the place of the exit; empty: the create is refused. */
  coherence: '' | 'warn';
}

/** No identity. */
export const NO_IDENTITY: IdentityDraft = {
  locale: '',
  timezone: '',
  geolocation: '',
  screen: '',
  webrtc: '',
  images: '',
  preferences: '',
  engine: '',
  coherence: '',
};

/** The word for what is taken from the exit of the session's proxy. */
const AUTO = 'auto';

/** The longest text of a field, in characters. */
export const IDENTITY_MAX_LENGTH = 256;
/** The longest text of all preferences, in characters. */
export const PREFERENCES_MAX_LENGTH = 8192;

type Part = Pick<
  CreateSession,
  | 'locale'
  | 'timezone'
  | 'geolocation'
  | 'screen'
  | 'webrtc'
  | 'block_images'
  | 'user_preferences'
  | 'engine'
  | 'coherence'
>;

/** A place as typed; null if it is none. */
export function placeOf(text: string): { latitude: number; longitude: number } | null {
  const match = /^([+-]?\d+(?:\.\d+)?)\s*[,;\s]\s*([+-]?\d+(?:\.\d+)?)$/.exec(text.trim());
  const [latitude, longitude] = [Number(match?.[1]), Number(match?.[2])];
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? { latitude, longitude } : null;
}

const SIDE = String.raw`(\d{3,4})(?:\s*[-–]\s*(\d{3,4}))?`;
const SIZE = new RegExp(String.raw`^${SIDE}\s*[x×]\s*${SIDE}$`, 'i');

/** A size as typed, or limits for one; null if it is none that a browser can use. */
export function sizeOf(text: string): NonNullable<CreateSession['screen']> | null {
  const match = SIZE.exec(text.trim());
  if (match === null) return null;
  const [width, most, height, highest] = match.slice(1).map((side) => (side ? Number(side) : null));
  const fits = (side: number | null | undefined) => side == null || (side >= 320 && side <= 7680);
  if (width == null || height == null || ![width, most, height, highest].every(fits)) return null;
  if (most == null && highest == null) return { width, height };
  const [max_width, max_height] = [most ?? width, highest ?? height];
  if (max_width < width || max_height < height) return null;
  return { min_width: width, max_width, min_height: height, max_height };
}

/** A text in quotation marks, as JSON has it: for what would be read as something else. */
function quoted(text: string): string | null {
  if (!/^".*"$/.test(text)) return null;
  try {
    return String(JSON.parse(text));
  } catch {
    return null;
  }
}

function preferenceValue(text: string): boolean | number | string {
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^-?\d+$/.test(text)) return Number(text);
  return quoted(text) ?? text;
}

/** Preferences as typed; null if a line is none. */
export function preferencesOf(text: string): Record<string, boolean | number | string> | null {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const read = lines.map((line) => /^\s*([\w.-]+)\s*=\s*(.*?)\s*$/.exec(line));
  if (read.includes(null)) return null;
  return Object.fromEntries(
    read.map((match) => [match?.[1] ?? '', preferenceValue(match?.[2] ?? '')]),
  );
}

/** Preferences as they are typed. */
function preferencesText(preferences: Profile['identity'] & object): string {
  const lines = Object.entries(preferences.user_preferences).map(([name, value]) => {
    const plain = `${name} = ${value}`;
    // What would be read as something else is in quotation marks.
    return preferencesOf(plain)?.[name] === value ? plain : `${name} = ${JSON.stringify(value)}`;
  });
  return lines.join('\n');
}

/** The part of a create request for a valid draft; empty fields are omitted. */
export function toIdentity(draft: IdentityDraft): Part {
  const { locale, timezone, geolocation, screen, webrtc, images, engine, coherence } = draft;
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
  if (webrtc !== '') part.webrtc = webrtc;
  if (images === 'block') part.block_images = true;
  const preferences = preferencesOf(draft.preferences);
  if (preferences !== null && Object.keys(preferences).length > 0) {
    part.user_preferences = preferences;
  }
  if (engine !== '') part.engine = engine;
  if (coherence !== '') part.coherence = coherence;
  return part;
}

/** The fields whose texts have a form. */
type Formed = 'geolocation' | 'screen' | 'preferences';

/** The fields that are not empty and can't be read. */
export function unreadable({ geolocation, screen, preferences }: IdentityDraft): Formed[] {
  const place = geolocation.trim();
  const fields: Formed[] = [];
  if (place !== '' && place !== AUTO && placeOf(place) === null) fields.push('geolocation');
  if (screen.trim() !== '' && sizeOf(screen) === null) fields.push('screen');
  if (preferencesOf(preferences) === null) fields.push('preferences');
  return fields;
}

/** The fields that are a choice of each session, also of one with a profile. */
export function ofSession({ coherence }: IdentityDraft): IdentityDraft {
  return { ...NO_IDENTITY, coherence };
}

/** The fields for a session with a profile: its identity, and what is chosen for the session. */
export function identityOfProfile(
  { identity, browser }: Pick<Profile, 'identity' | 'browser'>,
  chosen: IdentityDraft,
): IdentityDraft {
  const engine = browser === 'firefox' || browser === 'camoufox' ? browser : '';
  const own = { ...ofSession(chosen), engine } as const;
  if (identity === null) return own;
  const { locale, timezone, geolocation, screen, webrtc, block_images: blocked } = identity;
  return {
    ...own,
    locale: locale?.join(', ') ?? '',
    timezone: timezone ?? '',
    geolocation: geolocation ? `${geolocation.latitude}, ${geolocation.longitude}` : '',
    screen: screen ? `${screen.width}x${screen.height}` : '',
    webrtc: webrtc ?? '',
    images: blocked ? 'block' : '',
    preferences: preferencesText(identity),
  };
}

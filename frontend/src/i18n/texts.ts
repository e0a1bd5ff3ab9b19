import enLaunch from './en/launch.json';
import enPanel from './en/panel.json';
import ruLaunch from './ru/launch.json';
import ruPanel from './ru/panel.json';

/** The languages that the panel speaks, by their own names. */
export const LANGUAGES = { en: 'English', ru: 'Русский' } as const;

/** The code of a language that the panel speaks (ISO 639-1). */
export type Language = keyof typeof LANGUAGES;

/** All of the panel's texts: a file for each part of the panel, in every language. */
export const texts = {
  en: { launch: enLaunch, panel: enPanel },
  ru: { launch: ruLaunch, panel: ruPanel },
} satisfies Record<Language, Record<string, object>>;

import { addTexts } from './addTexts.ts';
import en from './en/profiles.json';
import ru from './ru/profiles.json';

/** The texts of the page of profiles. */
export const profilesTexts = { en, ru };

addTexts('profiles', profilesTexts);

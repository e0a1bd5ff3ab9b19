import { addTexts } from './addTexts.ts';
import en from './en/launch.json';
import ru from './ru/launch.json';

/** The texts of the launch form. */
export const launchTexts = { en, ru };

addTexts('launch', launchTexts);

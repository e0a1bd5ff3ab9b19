import enCards from './en/cards.json';
import enErrors from './en/errors.json';
import enFleet from './en/fleet.json';
import type enLaunch from './en/launch.json';
import enLive from './en/live.json';
import enNetwork from './en/network.json';
import enPanel from './en/panel.json';
import type enProfiles from './en/profiles.json';
import enScreen from './en/screen.json';
import enSession from './en/session.json';
import enSessions from './en/sessions.json';
import enWall from './en/wall.json';
import type { Language } from './language.ts';
import ruCards from './ru/cards.json';
import ruErrors from './ru/errors.json';
import ruFleet from './ru/fleet.json';
import ruLive from './ru/live.json';
import ruNetwork from './ru/network.json';
import ruPanel from './ru/panel.json';
import ruScreen from './ru/screen.json';
import ruSession from './ru/session.json';
import ruSessions from './ru/sessions.json';
import ruWall from './ru/wall.json';

/** The texts of the first load: one file for each part of the panel, in every language. `launch.ts` and `profiles.ts` have the others. */
export const texts = {
  en: {
    cards: enCards,
    errors: enErrors,
    fleet: enFleet,
    live: enLive,
    network: enNetwork,
    panel: enPanel,
    screen: enScreen,
    session: enSession,
    sessions: enSessions,
    wall: enWall,
  },
  ru: {
    cards: ruCards,
    errors: ruErrors,
    fleet: ruFleet,
    live: ruLive,
    network: ruNetwork,
    panel: ruPanel,
    screen: ruScreen,
    session: ruSession,
    sessions: ruSessions,
    wall: ruWall,
  },
} satisfies Record<Language, Record<string, object>>;

/** All texts in one language. */
export type Texts = (typeof texts)['en'] & { launch: typeof enLaunch; profiles: typeof enProfiles };

import enErrors from './en/errors.json';
import enFleet from './en/fleet.json';
import enLaunch from './en/launch.json';
import enLive from './en/live.json';
import enNetwork from './en/network.json';
import enPanel from './en/panel.json';
import enScreen from './en/screen.json';
import enSession from './en/session.json';
import enSessions from './en/sessions.json';
import enWall from './en/wall.json';
import type { Language } from './language.ts';
import ruErrors from './ru/errors.json';
import ruFleet from './ru/fleet.json';
import ruLaunch from './ru/launch.json';
import ruLive from './ru/live.json';
import ruNetwork from './ru/network.json';
import ruPanel from './ru/panel.json';
import ruScreen from './ru/screen.json';
import ruSession from './ru/session.json';
import ruSessions from './ru/sessions.json';
import ruWall from './ru/wall.json';

/** All texts of the panel: one file for each part of it, in every language. */
export const texts = {
  en: {
    errors: enErrors,
    fleet: enFleet,
    launch: enLaunch,
    live: enLive,
    network: enNetwork,
    panel: enPanel,
    screen: enScreen,
    session: enSession,
    sessions: enSessions,
    wall: enWall,
  },
  ru: {
    errors: ruErrors,
    fleet: ruFleet,
    launch: ruLaunch,
    live: ruLive,
    network: ruNetwork,
    panel: ruPanel,
    screen: ruScreen,
    session: ruSession,
    sessions: ruSessions,
    wall: ruWall,
  },
} satisfies Record<Language, Record<string, object>>;

import type { components } from './schema.ts';

type Schemas = components['schemas'];

/** A session as the control role describes it. */
export type Session = Schemas['Session'];
/** Where a session is in its life. */
export type SessionStatus = Session['status'];
/** How far the start page has to load before the runner is content. */
export type StartUrlWait = Session['start_url_wait'];
/** What happens to a session whose browser crashes. */
export type OnCrash = Session['on_crash'];
/** What happens to browser contexts that a leaving client left open. */
export type Contexts = Session['contexts'];
/** Why a session is no more. */
export type EndReason = NonNullable<Session['end_reason']>;
/** What a new session is asked to be; whatever is left out is the worker's to choose. */
export type CreateSession = Schemas['CreateRequest'];
/** The answer to ending a session. */
export type EndedSession = Schemas['Deleted'];
/** One worker as the control role sees it. */
export type WorkerStatus = Schemas['WorkerStatus'];
/** The fleet's health; an original control says less, and so does one that is asked by a foreign page. */
export type FleetHealth = Pick<Schemas['ControlHealth'], 'status'> &
  Partial<Schemas['ControlHealth']>;
/** The fleet's last hour in figures. */
export type FleetHistory = Schemas['FleetHistory'];
/** The fleet at one moment, and what has happened since the sample before. */
export type FleetSample = Schemas['Sample'];
/** What a session gets where its request says nothing. */
export type SessionDefaults = Schemas['SessionDefaults'];
/** Something in a session's past. */
export type HistoryEntry = Schemas['HistoryEntry'];
/** What can happen to a session. */
export type Change = HistoryEntry['change'];

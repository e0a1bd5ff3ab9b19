import type { components } from './schema.ts';

type Schemas = components['schemas'];

/** A session as the control role describes it. */
export type Session = Schemas['Session'];
/** The state of a session. */
export type SessionStatus = Session['status'];
/** How far the start page has to load. */
export type StartUrlWait = Session['start_url_wait'];
/** What happens to a session whose browser crashes. */
export type OnCrash = Session['on_crash'];
/** What happens to browser contexts that a client leaves open when it disconnects. */
export type Contexts = Session['contexts'];
/** Why a session ended. */
export type EndReason = NonNullable<Session['end_reason']>;
/** A create request; the worker chooses whatever is left out. */
export type CreateSession = Schemas['CreateRequest'];
/** The answer to ending a session. */
export type EndedSession = Schemas['Deleted'];
/** What a site sees of a browser with a proxy. */
export type ProxyCheck = Schemas['ProxyCheck'];
/** How connections leave, in a request: `direct`, a pool's name, or a proxy with its credentials. */
export type ProxyRequest = Schemas['Proxy'];
/** The proxy of a session, without credentials. */
export type ProxyView = Schemas['ProxyView'];
/** The totals of a session's connections. */
export type EgressTotals = Schemas['EgressTotals'];
export type Contradiction = Schemas['Contradiction'];
/** What a session's browser connected to. */
export type EgressReport = Schemas['EgressReport'];
/** What create requests may choose of the connections on a worker. */
export type EgressFacts = Schemas['EgressFacts'];
/** One worker as the control role sees it. */
export type WorkerStatus = Schemas['WorkerStatus'];
/** The fleet's health. An original control sends fewer fields, and so does ours to a page of another origin. */
export type FleetHealth = Pick<Schemas['ControlHealth'], 'status'> &
  Partial<Schemas['ControlHealth']>;
/** Samples of the fleet's last hour. */
export type FleetHistory = Schemas['FleetHistory'];
/** The fleet at one moment, with the counts since the sample before. */
export type FleetSample = Schemas['Sample'];
/** A worker's defaults for sessions. */
export type SessionDefaults = Schemas['SessionDefaults'];
/** A profile. */
export type Profile = Schemas['Profile'];
/** The body of a request for a new profile. */
export type ProfileRequest = Schemas['FleetProfileRequest'];
/** What can be changed of a profile. */
export type ProfilePatch = Schemas['ProfilePatch'];
/** The body of a request for a profile like another one. */
export type CloneRequest = Schemas['CloneRequest'];
/** A cookie of a profile. */
export type Cookie = Schemas['Cookie'];
/** Whether a session changes its profile. */
export type ProfileMode = Schemas['ProfileMode'];
/** What pages learn of a session's user and machine. */
export type Identity = Schemas['Identity'];
/** One event in a session's history. */
export type HistoryEntry = Schemas['HistoryEntry'];
/** The kinds of events of a session. */
export type Change = HistoryEntry['change'];

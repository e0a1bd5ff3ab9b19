/** Where a session is in its life. */
export type SessionStatus = 'INIT' | 'READY' | 'TERMINATING' | 'DEAD';

/** How far the start page has to load before the runner is content. */
export type StartUrlWait = 'none' | 'domcontentloaded' | 'load';

/** What happens to a session whose browser crashes. */
export type OnCrash = 'restart' | 'end';

/** What happens to browser contexts that a leaving client left open. */
export type Contexts = 'keep' | 'discard';

/** Why a session is no more. */
export type EndReason =
  'deleted' | 'expired' | 'crashed' | 'display_lost' | 'driver_lost' | 'shutdown' | 'launch_failed';

/** Where a session's screen can be watched. */
export interface VncInfo {
  ws: string | null;
  http: string | null;
  password_protected: boolean;
}

/**
 * A session as the control role describes it. The optional fields are additions to the original
 * API: a session on an original worker comes without them.
 */
export interface Session {
  id: string;
  status: SessionStatus;
  created_at: string;
  last_seen_at: string;
  browser: string;
  headless: boolean;
  idle_ttl_seconds: number;
  labels: Record<string, string>;
  worker: string;
  vnc_enabled: boolean;
  start_url_wait: StartUrlWait;
  ws_endpoint: string;
  vnc: VncInfo;
  attached?: number;
  restarts?: number;
  on_crash?: OnCrash;
  contexts?: Contexts;
  start_url?: string | null;
  start_url_error?: string | null;
  ended_at?: string | null;
  end_reason?: EndReason | null;
  end_detail?: string | null;
  browser_version?: string | null;
}

/** What a new session is asked to be; whatever is left out is the worker's to choose. */
export interface CreateSession {
  headless?: boolean;
  idle_ttl_seconds?: number;
  start_url?: string;
  start_url_wait?: StartUrlWait;
  labels?: Record<string, string>;
  vnc?: boolean;
  on_crash?: OnCrash;
  contexts?: Contexts;
  worker?: string;
}

/** The answer to ending a session. */
export interface EndedSession {
  id: string;
  status: SessionStatus;
}

/** A healthy worker's own account of itself. */
export interface WorkerHealth {
  status: string;
  version: string;
  checks: Record<string, string>;
}

/** One worker as the control role sees it. */
export interface WorkerStatus {
  name: string;
  healthy: boolean;
  detail: WorkerHealth | { error: string };
  supports_vnc: boolean;
}

/** The health of the whole fleet. */
export interface FleetHealth {
  status: 'ok' | 'degraded';
  workers: WorkerStatus[];
}

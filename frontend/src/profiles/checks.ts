import { checkProxy } from '../api/client.ts';
import type { Profile } from '../api/types.ts';
import type { CheckState } from '../hooks/useProxyCheck.ts';
import { ConcurrencyLimit } from '../lib/concurrencyLimit.ts';
import { forgettable } from '../lib/forgettable.ts';
import { Store } from '../lib/store.ts';

/** How many checks run at a time: a worker runs few, and refuses more. */
const AT_ONCE = 2;
/** How many results are kept; the oldest go first. */
const MOST_KEPT = 2000;

const IDLE: CheckState = { phase: 'idle' };

/** Identifies a profile across the fleet. */
export function profileKey({ worker, name }: Pick<Profile, 'worker' | 'name'>): string {
  return `${worker ?? ''}/${name}`;
}

/** A check is of a profile with its proxy: with another one it says nothing. */
function subjectOf(profile: Profile): string {
  return JSON.stringify([profileKey(profile), profile.id, profile.proxy]);
}

/** The checks of profiles' proxies since the page was loaded. They outlive the rows, which come and go by scrolling. */
export class ProfileChecks {
  readonly states = new Store<ReadonlyMap<string, CheckState>>(new Map());
  readonly #running = new Map<string, AbortController>();
  #limit = new ConcurrencyLimit(AT_ONCE);

  /** How far the check of a profile's proxy is. */
  of(profile: Profile): CheckState {
    return this.states.get().get(subjectOf(profile)) ?? IDLE;
  }

  /** Checks the proxy of a profile, on its worker, which knows the credentials. */
  start(profile: Profile): void {
    const subject = subjectOf(profile);
    if (this.#running.has(subject)) return;
    const own = new AbortController();
    this.#running.set(subject, own);
    this.#set(subject, { phase: 'running' });
    const { worker = null, name } = profile;
    const check = () => checkProxy(null, worker, own.signal, name);
    this.#limit.run(check, own.signal).then(
      (result) => {
        this.#settle(subject, own, { phase: 'checked', result });
      },
      (error: unknown) => {
        this.#settle(subject, own, { phase: 'failed', error });
      },
    );
  }

  /** Cancels the check of a profile's proxy. */
  stop(profile: Profile): void {
    const subject = subjectOf(profile);
    const own = this.#running.get(subject);
    this.#running.delete(subject);
    own?.abort();
    this.#set(subject, IDLE);
  }

  /** Forgets all: another token may give access to another fleet. */
  clear(): void {
    for (const own of this.#running.values()) own.abort();
    this.#running.clear();
    this.#limit = new ConcurrencyLimit(AT_ONCE);
    this.states.set(new Map());
  }

  #settle(subject: string, own: AbortController, state: CheckState): void {
    if (this.#running.get(subject) !== own) return;
    this.#running.delete(subject);
    this.#set(subject, state);
  }

  #set(subject: string, state: CheckState): void {
    const states = new Map(this.states.get());
    states.delete(subject);
    if (state.phase !== 'idle') states.set(subject, state);
    for (const oldest of states.keys()) {
      if (states.size <= MOST_KEPT) break;
      states.delete(oldest);
    }
    this.states.set(states);
  }
}

/** The checks of the panel. */
export const profileChecks = new ProfileChecks();
forgettable.add(() => {
  profileChecks.clear();
});

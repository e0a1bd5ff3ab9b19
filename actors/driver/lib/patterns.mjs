/**
 * Limits the time of regular expressions from clients.
 *
 * `context.route(/(a+)+$/)` is matched in this process, which all sessions of a driver share, and such a
 * backtracking pattern can take practically forever. Playwright builds every pattern that it gets over its
 * protocol, globs included, with `new RegExp`, while its own patterns are literals. So the global constructor
 * is replaced before Playwright is loaded: patterns created on behalf of a launch are matched under V8's
 * watchdog, which costs 30 µs per match (docs/adr/0018-a-pattern-costs-only-its-own-session.md).
 */
import vm from 'node:vm';
import { currentScope } from './isolation.mjs';
import { truncate } from './text.mjs';

/**
 * The timeout of a match, in milliseconds; normal ones take microseconds. The second, longer attempt is for a
 * machine that gave this process no CPU time during the first.
 */
const LIMITS_MS = [100, 250];

/**
 * The budget of all matches of a launch, in milliseconds, and how much of it is refilled per second: many
 * patterns that each stay below their timeout would block the other sessions as well.
 */
const BUDGET = { most: 500, perSecond: 200 };

/** How many slow patterns of a launch are remembered, so that they are not tried again. */
const MOST_REMEMBERED = 256;

/** How many characters of a pattern are shown. */
const SHOWN = 80;

/** Without a quantifier or an alternative a pattern can't backtrack much. */
const BRANCHING = /[*+?{|]/;

const NativeRegExp = globalThis.RegExp;
const nativeExec = NativeRegExp.prototype.exec;

/**
 * The script that runs under the watchdog. There is one match at a time, because matching calls no other
 * code.
 */
let job = null;
const watched = vm.createContext({ run: () => job() });
const watch = new vm.Script('run()');

/** The launch that a limited pattern belongs to. */
const owners = new WeakMap();

const limited = Object.create(NativeRegExp.prototype);
const LimitedRegExp = new Proxy(NativeRegExp, {
  construct: (target, args) => limit(Reflect.construct(target, args)),
  apply(target, self, args) {
    const made = Reflect.apply(target, self, args);
    // `RegExp(pattern)` returns an existing pattern unchanged.
    return made === args[0] ? made : limit(made);
  },
});
define(limited, 'exec', function exec(text) {
  const found = withinLimits(owners.get(this), `/${this.source}/${this.flags}`, () => nativeExec.call(this, text));
  if (found !== undefined) return found;
  this.lastIndex = 0;
  return null;
});
// `split` creates another pattern with the constructor of the first.
define(limited, 'constructor', LimitedRegExp);
globalThis.RegExp = LimitedRegExp;

// Newer versions of Node have URL patterns, which may contain regular expressions.
const urlPattern = globalThis.URLPattern?.prototype;
if (urlPattern) {
  const { test, exec } = urlPattern;
  const shown = (pattern) => `URLPattern ${pattern.protocol}://${pattern.hostname}${pattern.pathname}`;
  define(urlPattern, 'test', function (...args) {
    return withinLimits(currentScope(), shown(this), () => test.apply(this, args)) ?? false;
  });
  define(urlPattern, 'exec', function (...args) {
    return withinLimits(currentScope(), shown(this), () => exec.apply(this, args)) ?? null;
  });
}

/** Limits a pattern if it is created on behalf of a launch and could backtrack. */
function limit(pattern) {
  const scope = currentScope();
  if (!scope || !BRANCHING.test(pattern.source)) return pattern;
  owners.set(pattern, scope);
  return Object.setPrototypeOf(pattern, limited);
}

/**
 * Matches a pattern on behalf of a launch, which is notified if it took too long.
 *
 * @template T
 * @param {import('./isolation.mjs').Scope|undefined} scope the launch's scope; outside of any there is no limit
 * @param {string} pattern identifies the pattern
 * @param {() => T} work the match
 * @returns {T|undefined} its result; `undefined` when it took too long, now or before
 */
function withinLimits(scope, pattern, work) {
  if (!scope) return work();
  if (scope.matching.closed || scope.matching.slow.has(pattern)) return undefined;
  for (const timeout of LIMITS_MS) {
    job = work;
    const started = performance.now();
    const before = process.cpuUsage();
    try {
      const found = watch.runInContext(watched, { timeout });
      if (spend(scope.matching, started, before)) return found;
      break;
    } catch (error) {
      if (error.code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    } finally {
      job = null;
    }
  }
  const { matching } = scope;
  matching.closed = true;
  if (matching.slow.size < MOST_REMEMBERED) matching.slow.add(pattern);
  // Not synchronously within the matching code, because this disconnects clients.
  setImmediate(() => scope.onSlowPattern(truncate(pattern, SHOWN)));
  return undefined;
}

/**
 * Charges the CPU time since then to a launch's budget, and returns whether there was enough. Time that the
 * machine gave to other processes does not count: a page with a thousand requests causes a thousand matches.
 */
function spend(matching, started, before) {
  const now = performance.now();
  const { user, system } = process.cpuUsage(before);
  const back = ((now - matching.at) / 1000) * BUDGET.perSecond;
  matching.left = Math.min(BUDGET.most, matching.left + back) - Math.min(now - started, (user + system) / 1000);
  matching.at = now;
  return matching.left >= 0;
}

/**
 * @typedef {object} Matching
 * @property {number} left the remaining budget of the launch's patterns, in milliseconds
 * @property {number} at when that was computed
 * @property {Set<string>} slow the patterns that took too long: they match nothing any more
 * @property {boolean} closed whether nothing matches, while the clients with slow patterns are being
 * disconnected
 */

/**
 * The initial state of a launch's patterns.
 *
 * @returns {Matching} for its scope
 */
export function newMatching() {
  return { left: BUDGET.most, at: performance.now(), slow: new Set(), closed: false };
}

function define(object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, configurable: true });
}

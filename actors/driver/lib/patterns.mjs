/**
 * Puts a time limit on the patterns that clients give.
 *
 * `context.route(/(a+)+$/)` is matched here, in the process that all sessions of a driver share, and a backtracking
 * match of such a pattern takes longer than the universe is old. Playwright builds every pattern that comes over its
 * protocol, globs included, with `new RegExp`, while its own are literals. So the global constructor is replaced
 * before Playwright is loaded: what it makes on behalf of a launch is matched under V8's watchdog, which costs 30 µs
 * a match (docs/adr/0018-a-pattern-costs-only-its-own-session.md).
 */
import vm from 'node:vm';
import { currentScope } from './isolation.mjs';
import { cut } from './text.mjs';

/**
 * How long a match may take, in milliseconds: an honest one takes microseconds. A second attempt is for a machine
 * that did not let this process run during the first.
 */
const LIMITS_MS = [100, 250];

/**
 * How long all matches of a launch may take together, in milliseconds, and how much of that comes back in a second:
 * a hundred patterns that each stay below their limit would stop the others as well.
 */
const BUDGET = { most: 500, perSecond: 200 };

/** How many patterns of a launch that took too long are remembered, so that none of them costs its time again. */
const MOST_CONDEMNED = 256;

/** How much of a pattern is shown. */
const SHOWN = 80;

/** Without a quantifier or an alternative nothing can be tried in more than a handful of ways. */
const BRANCHING = /[*+?{|]/;

const NativeRegExp = globalThis.RegExp;
const nativeExec = NativeRegExp.prototype.exec;

/** What the watched script runs: one match at a time, for a match calls nobody back. */
let job = null;
const watched = vm.createContext({ run: () => job() });
const watch = new vm.Script('run()');

/** On whose behalf a limited pattern was made. */
const owners = new WeakMap();

const limited = Object.create(NativeRegExp.prototype);
const LimitedRegExp = new Proxy(NativeRegExp, {
  construct: (target, args) => limit(Reflect.construct(target, args)),
  apply(target, self, args) {
    const made = Reflect.apply(target, self, args);
    // `RegExp(pattern)` hands a pattern back as it is.
    return made === args[0] ? made : limit(made);
  },
});
define(limited, 'exec', function exec(text) {
  const found = withinLimits(owners.get(this), `/${this.source}/${this.flags}`, () => nativeExec.call(this, text));
  if (found !== undefined) return found;
  this.lastIndex = 0;
  return null;
});
// `split` makes another pattern with the constructor of the first.
define(limited, 'constructor', LimitedRegExp);
globalThis.RegExp = LimitedRegExp;

// Newer versions of Node have URL patterns, which may hold regular expressions.
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

/** Limits a pattern that is made on behalf of a launch and could need it. */
function limit(pattern) {
  const scope = currentScope();
  if (!scope || !BRANCHING.test(pattern.source)) return pattern;
  owners.set(pattern, scope);
  return Object.setPrototypeOf(pattern, limited);
}

/**
 * Matches a pattern on behalf of a launch, which is notified when it took too long.
 *
 * @template T
 * @param {import('./isolation.mjs').Scope|undefined} scope the launch's scope; outside of any there is no limit
 * @param {string} pattern names the pattern
 * @param {() => T} work the match
 * @returns {T|undefined} its result; `undefined` when it took too long, now or before
 */
function withinLimits(scope, pattern, work) {
  if (!scope) return work();
  if (scope.matching.closed || scope.matching.condemned.has(pattern)) return undefined;
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
  if (matching.condemned.size < MOST_CONDEMNED) matching.condemned.add(pattern);
  // Not from within the code that matches: it ends connections.
  setImmediate(() => scope.onSlowPattern(cut(pattern, SHOWN)));
  return undefined;
}

/**
 * Takes the time since then from a launch's budget, and says whether there was as much. What the machine gave to other
 * processes meanwhile is not the pattern's: a page with a thousand requests has a thousand matches.
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
 * @property {number} left how long the launch's patterns may still take, in milliseconds
 * @property {number} at when that was so
 * @property {Set<string>} condemned the patterns that took too long: they match nothing any more
 * @property {boolean} closed whether nothing matches: the clients whose patterns took too long are being disconnected
 */

/**
 * What is known of the patterns of a launch that has none yet.
 *
 * @returns {Matching} for its scope
 */
export function newMatching() {
  return { left: BUDGET.most, at: performance.now(), condemned: new Set(), closed: false };
}

function define(object, name, value) {
  Object.defineProperty(object, name, { value, writable: true, configurable: true });
}

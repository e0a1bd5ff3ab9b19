/**
 * Keeps launches apart inside the one Node process.
 *
 * Playwright has options neither for a temporary directory nor for a hook on its child processes, and a
 * custom profile directory does not work with WebDriver BiDi. So the two Node functions it uses are wrapped
 * here: code that runs on behalf of a launch (tracked by AsyncLocalStorage, across awaits and accepted
 * sockets) gets that launch's directory and reports that launch's children.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import childProcess from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

/**
 * @typedef {object} Scope
 * @property {string} temporaryDirectory the launch's temporary directory
 * @property {string|null} egress the socket of the SOCKS server that its connections go through; null if they
 * are direct
 * @property {boolean} windowIsViewport whether the window is the viewport of contexts whose client names none
 * @property {(command: string, args: string[]) => string[]} beforeSpawn is called before each child is
 * spawned, and returns the arguments for it; it throws to refuse it
 * @property {(command: string, child: import('node:child_process').ChildProcess) => void} adopt is called
 * with each child process as soon as it exists, so that even a half-launched browser is known
 * @property {(served: import('./playwright.mjs').Served) => void} onServer is called with the browser's
 * server once it listens
 * @property {() => import('./playwright.mjs').Served|null} served returns that server; null until it listens
 * @property {(pattern: string) => void} onSlowPattern is called with a client's pattern whose match took too
 * long; until `matching.closed` is false again, no pattern of the launch matches anything
 * @property {import('./patterns.mjs').Matching} matching the state of its clients' patterns
 */

/** @type {AsyncLocalStorage<Scope>} */
const scopes = new AsyncLocalStorage();

const systemTmpdir = os.tmpdir;
os.tmpdir = () => scopes.getStore()?.temporaryDirectory ?? systemTmpdir();

const systemSpawn = childProcess.spawn;
const deathSignal = findDeathSignal();
childProcess.spawn = function spawn(command, args, options) {
  const scope = scopes.getStore();
  if (!scope) return systemSpawn.call(this, command, args, options);
  const child = systemSpawn.call(this, ...deathSignal(command, scope.beforeSpawn(command, args)), options);
  scope.adopt(command, child);
  return child;
};

/**
 * The scope of the launch that the current code runs for.
 *
 * @returns {Scope|undefined} the launch's scope; `undefined` outside of any launch
 */
export function currentScope() {
  return scopes.getStore();
}

/**
 * Runs a function, and everything it starts, on behalf of one launch.
 *
 * @template T
 * @param {Scope} scope the launch's scope
 * @param {() => T} work what to run
 * @returns {T} what the work returns
 */
export function runInScope(scope, work) {
  return scopes.run(scope, work);
}

/**
 * Kills a whole process group. A group that no longer exists is no error.
 *
 * @param {number|undefined} leader the group's id, which is its leader's process id
 * @returns {void}
 */
export function killGroup(leader) {
  if (!leader) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/**
 * Kills the rest of a process group whose leader has ended and was reaped. While the group has members, its
 * number is not reused; if a process has that number now, it is unrelated and the group is gone.
 *
 * @param {number} leader the group's id, which was its leader's process id
 * @returns {void}
 */
export function killRemaining(leader) {
  if (!fs.existsSync(`/proc/${leader}`)) killGroup(leader);
}

/**
 * Checks whether children can be made to die with this process.
 *
 * The kernel kills such a child even when this process ends by SIGKILL. `setpriv` (util-linux) requests that
 * and then becomes the browser: same process id, same group.
 *
 * @returns {(command: string, args: string[]) => [string, string[]]} rewrites a command line
 */
function findDeathSignal() {
  const wrap = (command, args) => ['setpriv', ['--pdeathsig', 'KILL', '--', command, ...args]];
  const trial = childProcess.spawnSync(...wrap(process.execPath, ['--version']), { stdio: 'ignore' });
  if (trial.status === 0) return wrap;
  process.stderr.write('driver: no usable setpriv (util-linux): browsers would outlive a SIGKILL of the driver\n');
  return (command, args) => [command, args];
}

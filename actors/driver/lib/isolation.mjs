/**
 * Keeps launches apart inside the one Node process.
 *
 * Playwright takes neither a temporary directory nor a hook for its child processes as an option, and a
 * profile directory of our own does not work with WebDriver BiDi. So the two Node functions it uses are
 * wrapped here: whatever runs on behalf of a launch (which AsyncLocalStorage knows, across awaits and the
 * sockets that its server accepts) gets that launch's directory and reports that launch's children.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import childProcess from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

/**
 * @typedef {object} Scope
 * @property {string} temporaryDirectory where everything temporary of this launch belongs
 * @property {(command: string, args: string[]) => string[]} beforeSpawn is shown each child before it exists, and says
 *   with which arguments it starts; it throws to refuse it
 * @property {(command: string, child: import('node:child_process').ChildProcess) => void} adopt is called with each child
 *   process the moment it exists, so that even a half-launched browser is known
 * @property {(served: import('./playwright.mjs').Served) => void} onServer is given the browser's server once it listens
 * @property {(pattern: string) => void} onSlowPattern is called with a client's pattern whose match took too long;
 *   until `matching.closed` is false again, no pattern of the launch matches anything
 * @property {import('./patterns.mjs').Matching} matching what is known of its clients' patterns
 */

/** @type {AsyncLocalStorage<Scope>} */
const scopes = new AsyncLocalStorage();

const systemTmpdir = os.tmpdir;
os.tmpdir = () => scopes.getStore()?.temporaryDirectory ?? systemTmpdir();

const systemSpawn = childProcess.spawn;
const deathWarrant = findDeathWarrant();
childProcess.spawn = function spawn(command, args, options) {
  const scope = scopes.getStore();
  if (!scope) return systemSpawn.call(this, command, args, options);
  const child = systemSpawn.call(this, ...deathWarrant(command, scope.beforeSpawn(command, args)), options);
  scope.adopt(command, child);
  return child;
};

/**
 * Finds out on whose behalf the current code runs.
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
 * @param {Scope} scope whose temporary directory and children these are
 * @param {() => T} work what to run
 * @returns {T} what the work returns
 */
export function runInScope(scope, work) {
  return scopes.run(scope, work);
}

/**
 * Ends a whole process group at once. A group that is gone already is no error.
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
 * Ends what is left of a process group whose leader has ended and was reaped. While the group has a member its number is
 * nobody else's; a process that has it by now is a stranger, and the group is gone.
 *
 * @param {number} leader the group's id, which was its leader's process id
 * @returns {void}
 */
export function killRemains(leader) {
  if (!fs.existsSync(`/proc/${leader}`)) killGroup(leader);
}

/**
 * Finds out whether children can be made to die with this process.
 *
 * The kernel kills such a child even when this process ends by SIGKILL, which no code in it can answer.
 * `setpriv` (util-linux) asks for that and then becomes the browser: same process id, same group.
 *
 * @returns {(command: string, args: string[]) => [string, string[]]} rewrites a command line
 */
function findDeathWarrant() {
  const wrap = (command, args) => ['setpriv', ['--pdeathsig', 'KILL', '--', command, ...args]];
  const trial = childProcess.spawnSync(...wrap(process.execPath, ['--version']), { stdio: 'ignore' });
  if (trial.status === 0) return wrap;
  process.stderr.write('driver: no usable setpriv (util-linux): browsers would outlive a SIGKILL of the driver\n');
  return (command, args) => [command, args];
}

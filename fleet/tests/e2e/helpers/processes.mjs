/** The processes of a camofleet, found by their environment mark, and its files. */
import fs from 'node:fs';
import path from 'node:path';

const MARK = 'CAMOFLEET_RUN_DIR=';

/**
 * @typedef {object} Process
 * @property {number} pid
 * @property {number} parent its parent's process id
 * @property {number} group its process group
 * @property {string[]} argv
 * @property {Record<string, string>} env
 */

/** Reads one process; null if it is gone, a zombie, or not readable. */
function readProcess(pid) {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent, group] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return null;
    const lines = (name) => fs.readFileSync(`/proc/${pid}/${name}`, 'utf8').split('\0').filter(Boolean);
    const env = Object.fromEntries(lines('environ').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    return { pid: Number(pid), parent: Number(parent), group: Number(group), argv: lines('cmdline'), env };
  } catch {
    return null;
  }
}

/**
 * Lists the processes with the mark of a run directory below `base`. Zombies do not count: they hold nothing
 * and only wait to be reaped.
 *
 * @param {string} base the `RUNNER_RUN_DIR` of the camofleet
 * @returns {Process[]} in order of their process ids
 */
export function marked(base) {
  const inBase = (env) => env.includes(`${MARK}${base}/`);
  return fs
    .readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return inBase(fs.readFileSync(`/proc/${pid}/environ`, 'utf8'));
      } catch {
        return false;
      }
    })
    .map(readProcess)
    .filter(Boolean);
}

/** Those of these processes whose parent is none of them: a child has the arguments of its parent until it executes a program. */
function parents(processes) {
  const pids = new Set(processes.map(({ pid }) => pid));
  return processes.filter(({ parent }) => !pids.has(parent));
}

/** The browsers' main processes: a Firefox has a profile argument, a Camoufox Playwright's pipe. */
export function browsers(base) {
  return parents(marked(base).filter(({ argv }) => argv.includes('--profile') || argv.includes('-juggler-pipe')));
}

/** The X servers. */
export function xServers(base) {
  return parents(marked(base).filter(({ argv }) => /^(Xvnc|Xvfb)$/.test(path.basename(argv[0] ?? ''))));
}

/** The drivers. */
export function drivers(base) {
  return parents(marked(base).filter(({ argv }) => argv.some((argument) => argument.endsWith('driver.mjs'))));
}

/** Formats processes as lines, for failed assertions. */
export function shown(processes) {
  return processes.map(({ pid, argv }) => `${pid} ${argv.join(' ').slice(0, 120)}`);
}

/** Whether a process runs; a zombie does not. */
export function isAlive(pid) {
  return readProcess(pid) !== null;
}

/** The number of open file descriptors of a process. */
export function countDescriptors(pid) {
  return fs.readdirSync(`/proc/${pid}/fd`).length;
}

/** The file descriptors of a process, counted by kind, for failed assertions. */
export function describeDescriptors(pid) {
  const kinds = {};
  for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
    try {
      const kind = fs.readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]$/, '');
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    } catch {
      // The descriptor used to read the directory.
    }
  }
  return kinds;
}

/** The resident memory of a process, in bytes. */
export function residentBytes(pid) {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}

/** The number of threads of a process. */
export function countThreads(pid) {
  return fs.readdirSync(`/proc/${pid}/task`).length;
}

/**
 * How many TCP connections of this machine are open to a port of its own; a process that is at both ends of one is counted once.
 *
 * @param {number} port the port
 * @returns {number} their number
 */
export function connectionsTo(port) {
  const ESTABLISHED = '01';
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].filter((table) => fs.existsSync(table));
  return tables
    .flatMap((table) => fs.readFileSync(table, 'utf8').trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , remote, state]) => state === ESTABLISHED && parseInt(remote.split(':')[1], 16) === port).length;
}

/** The directories of running launches below `base`. */
export function launchDirectories(base) {
  return runDirectories(base).flatMap((run) => {
    const entries = fs.existsSync(run) ? fs.readdirSync(run) : [];
    return entries.filter((name) => name.startsWith('launch-')).map((name) => path.join(run, name));
  });
}

/** The run directories below `base`; each camofleet has one. */
export function runDirectories(base) {
  if (!fs.existsSync(base)) return [];
  return fs.readdirSync(base, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map(({ name }) => path.join(base, name));
}

/** The lock files and sockets that X servers have for displays from `first` to `last`. */
export function displayFiles({ first, last }) {
  const files = [];
  for (let display = first; display <= last; display += 1) {
    files.push(...[`/tmp/.X${display}-lock`, `/tmp/.X11-unix/X${display}`].filter((file) => fs.existsSync(file)));
  }
  return files;
}

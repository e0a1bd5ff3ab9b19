/** The container engine of this machine, as `scripts/containers.sh` finds it. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));
const SCRIPT = path.join(REPOSITORY, 'scripts/containers.sh');

/**
 * Runs a program to its end.
 *
 * @param {string} program its path or name
 * @param {string[]} args its arguments
 * @param {{env?: Record<string, string>, patience?: number}} options environment variables beside this process's own,
 *   and how long it may take, in milliseconds
 * @returns {Promise<{status: number, stdout: string, stderr: string}>} how it ended and what it wrote
 */
export function run(program, args, { env = {}, patience = 60_000 } = {}) {
  return new Promise((resolve, reject) => {
    const options = { cwd: REPOSITORY, env: { ...process.env, ...env }, timeout: patience, killSignal: 'SIGKILL', maxBuffer: 1 << 26 };
    execFile(program, args, options, (error, stdout, stderr) => {
      if (error?.killed) reject(new Error(`${program} ${args.join(' ')} did not end within ${patience} ms: ${stderr}`));
      else if (typeof error?.code === 'string') reject(error);
      else resolve({ status: error?.code ?? 0, stdout, stderr });
    });
  });
}

/** Runs `scripts/containers.sh` with these words and expects it to succeed; tells what it printed. */
export async function containers(words, options) {
  const { status, stdout, stderr } = await run(SCRIPT, words, options);
  if (status !== 0) throw new Error(`containers.sh ${words.join(' ')} ended with ${status}: ${stderr || stdout}`);
  return stdout.trim();
}

/** Runs a command of the engine itself. */
export function engine(...words) {
  return containers(['engine', ...words]);
}

/** One container. */
export class Container {
  constructor(id) {
    this.id = id;
  }

  /** What the engine knows of it, by a Go template. */
  inspect(template) {
    return engine('inspect', '--format', template, this.id);
  }

  /** Runs a shell line in it, as its own user unless another is named; tells what it printed. */
  shell(line, { user } = {}) {
    return engine('exec', ...(user === undefined ? [] : ['--user', user]), this.id, 'sh', '-c', line);
  }

  /** Stops it as an operator would. */
  stop(seconds = 10) {
    return engine('stop', '--time', String(seconds), this.id);
  }

  /** Starts it once more. */
  start() {
    return engine('start', this.id);
  }

  /** What it has written. */
  async log() {
    const { stdout, stderr } = await run(SCRIPT, ['engine', 'logs', '--tail', '200', this.id]);
    return stdout + stderr;
  }

  /** Its processes, out of its own `/proc`: number, parent, user, state and name of each. */
  async processes() {
    const line = 'for d in /proc/[0-9]*; do cat $d/status 2>/dev/null && echo ==; done';
    const blocks = (await this.shell(line)).split('==').filter((block) => block.includes('Pid:'));
    return blocks.map((block) => {
      const field = (name) => new RegExp(`^${name}:\\s+(\\S+)`, 'm').exec(block)?.[1];
      return { pid: Number(field('Pid')), parent: Number(field('PPid')), uid: Number(field('Uid')), state: field('State'), name: field('Name') };
    });
  }

  /** Kills camofleet in it, and so the container, as a crash does: its init can't be killed from inside. */
  async crash() {
    const camofleet = (await this.processes()).find(({ name }) => name === 'camofleet');
    // The shell goes with the container, mostly before it can tell how it ended.
    await this.shell(`kill -9 ${camofleet.pid}`).catch(() => {});
  }

  /** Runs its healthcheck; tells whether it passes. */
  async passesHealthcheck() {
    if (await this.#isPodman()) return (await run(SCRIPT, ['engine', 'healthcheck', 'run', this.id])).status === 0;
    return (await this.inspect('{{.State.Health.Status}}')) === 'healthy';
  }

  async #isPodman() {
    return (await engine('--version')).includes('podman');
  }
}

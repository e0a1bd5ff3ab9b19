/** The container engine of this machine, as `scripts/containers.sh` finds it. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));
const SCRIPT = path.join(REPOSITORY, 'scripts/containers.sh');

/**
 * Runs a program and waits for its end.
 *
 * @param {string} program its path or name
 * @param {string[]} args its arguments
 * @param {{env?: Record<string, string>, patience?: number}} options additional environment variables, and a
 * timeout in milliseconds
 * @returns {Promise<{status: number, stdout: string, stderr: string}>} its exit status and output
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

/** Runs `scripts/containers.sh` with these arguments, expects success, and returns its output. */
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

  /** Inspects it with a Go template. */
  inspect(template) {
    return engine('inspect', '--format', template, this.id);
  }

  /** Runs a shell command in it, as its default user unless another is given; returns the output. */
  shell(line, { user } = {}) {
    return engine('exec', ...(user === undefined ? [] : ['--user', user]), this.id, 'sh', '-c', line);
  }

  /** Stops it as an operator would. */
  stop(seconds = 10) {
    return engine('stop', '--time', String(seconds), this.id);
  }

  /** Starts it again. */
  start() {
    return engine('start', this.id);
  }

  /** Removes it, and its anonymous volumes. */
  remove() {
    return engine('rm', '--volumes', this.id);
  }

  /** Its log. */
  async log() {
    const { stdout, stderr } = await run(SCRIPT, ['engine', 'logs', '--tail', '200', this.id]);
    return stdout + stderr;
  }

  /** Its processes, from its own `/proc`: id, parent, user, state and name of each. */
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
    // The shell dies with the container, usually before it can return a status.
    await this.shell(`kill -9 ${camofleet.pid}`).catch(() => {});
  }

  /** Runs its healthcheck; returns whether it passes. */
  async passesHealthcheck() {
    if (await this.#isPodman()) return (await run(SCRIPT, ['engine', 'healthcheck', 'run', this.id])).status === 0;
    return (await this.inspect('{{.State.Health.Status}}')) === 'healthy';
  }

  async #isPodman() {
    return (await engine('--version')).includes('podman');
  }
}

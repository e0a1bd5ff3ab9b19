/** One profile of compose.yaml, running under its own project name on free ports of loopback. */
import { test as nodeTest } from 'node:test';
import { request } from '../../e2e/helpers/http.mjs';
import { freePort } from '../../e2e/helpers/ports.mjs';
import { until } from '../../e2e/helpers/wait.mjs';
import { Container, containers, engine } from './engine.mjs';

/** How long a profile may take to become healthy: three hosts at once on a small machine. */
const STARTING_MS = 120_000;
const ENDING_MS = 90_000;
/** Docker's plugin and podman-compose use the same labels for a container's project and service. */
const PROJECT_LABEL = 'com.docker.compose.project';
const SERVICE_LABEL = 'com.docker.compose.service';

/** A running profile. */
export class Stack {
  #words;
  #env;

  /**
   * Starts a profile and waits until its API reports it as healthy.
   *
   * @param {{profile?: string, services: string[], scale?: Record<string, number>}} shape the arguments of
   * `compose up`
   * @param {(health: object) => boolean} whole a condition on `GET /health` besides its status
   * @returns {Promise<Stack>} the healthy profile
   */
  static async up(shape, whole = () => true) {
    const stack = new Stack();
    try {
      await stack.#up(shape, whole);
    } catch (error) {
      const text = `${error.message}\n${await stack.log()}`;
      await stack.down();
      throw new Error(text, { cause: error });
    }
    return stack;
  }

  async #up({ profile, services, scale }, whole) {
    const [control, ui, gateway] = [await freePort(), await freePort(), await freePort()];
    this.project = process.env.TEST_PROJECT ?? `camofleet-test-${process.pid}`;
    this.#env = { CONTROL_PORT: String(control), UI_PORT: String(ui), GATEWAY_PORT: String(gateway), CAMOFLEET_BIND: '127.0.0.1' };
    const files = ['compose.yaml', ...(profile ? ['fleet/tests/containers/without-pools.yaml'] : [])].flatMap((file) => ['-f', file]);
    this.#words = ['compose', ...files, '-p', this.project, ...(profile ? ['--profile', profile] : [])];
    Object.assign(this, { url: `http://127.0.0.1:${control}`, wsUrl: `ws://127.0.0.1:${control}` });
    Object.assign(this, { uiUrl: `http://127.0.0.1:${ui}`, gatewayUrl: `http://127.0.0.1:${gateway}` });
    const started = performance.now();
    await this.scale(scale ?? {}, services);
    await this.healthy(whole, STARTING_MS);
    this.startSeconds = (performance.now() - started) / 1000;
  }

  /** Runs `compose up` again, with other numbers of containers. */
  async scale(scale, services) {
    const numbers = Object.entries(scale).flatMap(([service, number]) => ['--scale', `${service}=${number}`]);
    const up = ['up', '-d', '--no-build', ...numbers, ...services];
    await containers([...this.#words, ...up], { env: this.#env, patience: STARTING_MS });
  }

  /** Waits until the API reports health. */
  healthy(whole = () => true, patience = 60_000) {
    return until(async () => {
      const health = await request('GET', `${this.url}/health`).catch(() => null);
      return health?.json?.status === 'ok' && whole(health.json);
    }, 'the fleet to be healthy', patience);
  }

  /** Stops it and removes everything that compose left. */
  async down() {
    await containers([...this.#words, 'down', '--volumes'], { env: this.#env, patience: ENDING_MS }).catch((error) => console.error(error.message));
    // podman-compose forgets the number of containers of a service, and then can't remove their network.
    for (const { id } of await this.containers()) await engine('rm', '--force', id);
    await engine('volume', 'rm', `${this.project}_profiles`).catch(() => {});
    await engine('network', 'rm', `${this.project}_default`).catch(() => {});
  }

  /** The containers of a service, or all, including exited ones. */
  async containers(service) {
    const filters = [`label=${PROJECT_LABEL}=${this.project}`, ...(service ? [`label=${SERVICE_LABEL}=${service}`] : [])];
    const ids = await engine('ps', '--all', '--no-trunc', '--quiet', ...filters.flatMap((filter) => ['--filter', filter]));
    return ids.split('\n').filter(Boolean).map((id) => new Container(id));
  }

  /** The one container of a service. */
  async container(service) {
    const [container, ...others] = await this.containers(service);
    if (!container || others.length > 0) throw new Error(`${service} has ${others.length + (container ? 1 : 0)} containers`);
    return container;
  }

  /** The logs of all its containers. */
  async log() {
    const parts = [];
    for (const container of await this.containers()) parts.push(`---- ${await container.inspect('{{.Name}}')}\n${await container.log()}`);
    return parts.join('\n');
  }

  /** Makes a request to the API, expects this status, and returns the JSON. */
  async ask(method, path, body, status = 200) {
    const answer = await request(method, this.url + path, { body });
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  /** Creates a session. */
  create(body = {}) {
    return this.ask('POST', '/sessions', body, 201);
  }

  /** Ends a session. */
  end({ worker, id }) {
    return this.ask('DELETE', `/sessions/${worker}/${id}`);
  }

  /** The current state of a session, or null. */
  async session({ id }) {
    return (await this.ask('GET', '/sessions')).find((session) => session.id === id) ?? null;
  }
}

/**
 * A test that prints the logs of all containers when it fails.
 *
 * @param {() => Stack} stack the running profile
 * @param {string} name the title
 * @param {() => Promise<void>} body the test
 */
export function test(stack, name, body) {
  nodeTest(name, async (context) => {
    try {
      await body(context);
    } catch (error) {
      console.error(`---- at: ${name}\n${await stack()?.log()}`);
      throw error;
    }
  });
}

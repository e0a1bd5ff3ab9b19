/**
 * Many operations on a few profiles by several clients, with kills of browsers and of camofleet in between: no profile is
 * lost, none has two writers, and every archive can be imported.
 */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { pathOf } from './helpers/camofleet.mjs';
import { attach } from './helpers/playwright.mjs';
import { browsers } from './helpers/processes.mjs';
import { Server, test } from './helpers/server.mjs';

const OPERATIONS = 200;
const CLIENTS = 4;
const PROFILES = ['p0', 'p1', 'p2', 'p3', 'p4'];
/** After so many operations camofleet is killed and started again. */
const KILL_EVERY = 70;
/** What clients do, each as often as its weight. */
const WEIGHTS = { use: 5, copy: 1, patch: 8, list: 8, clone: 4, export: 4 };
const COOKIE = { name: 'count', domain: 'a.example', path: '/', expires: 4_000_000_000 };

/** Numbers from 0 to 1, the same for each run (mulberry32). */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The clients' common knowledge: what each profile may contain, and who writes it. */
class Storm {
  server;
  random = numbers(16);
  done = 0;
  counts = {};
  /** What the cookie of a profile may be: the last value that is surely stored, and later ones that may be lost. */
  possible = Object.fromEntries(PROFILES.map((name) => [name, new Set([null])]));
  writers = new Map();
  value = 0;
  /** Resolves when camofleet runs. */
  up = Promise.resolve();
  /** Counts its starts: what was begun before a kill may end in any way. */
  starts = 0;

  choose(list) {
    return list[Math.floor(this.random() * list.length)];
  }

  kind() {
    let at = this.random() * Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0);
    return Object.keys(WEIGHTS).find((name) => (at -= WEIGHTS[name]) < 0);
  }

  async client() {
    while (this.done < OPERATIONS) {
      this.done += 1;
      const [number, kind, profile, starts] = [this.done, this.kind(), this.choose(PROFILES), this.starts];
      this.counts[kind] = (this.counts[kind] ?? 0) + 1;
      try {
        await this.up;
        await this[kind](profile, number);
      } catch (error) {
        // Whatever fails because camofleet was killed is not the profile's fault.
        if (starts === this.starts && error.code !== 'ECONNREFUSED') throw new Error(`operation ${number}, ${kind} ${profile}: ${error.message}`, { cause: error });
      }
      if (number % KILL_EVERY === 0) await this.restart();
    }
  }

  /** Kills camofleet with everything that it runs. */
  restart() {
    this.starts += 1;
    this.up = (async () => {
      this.server.kill('SIGKILL');
      await this.server.awaitEnd();
      this.writers.clear();
      this.server = await this.server.again();
    })();
    return this.up;
  }

  async request(method, route, allowed, options) {
    const answer = await this.server.request(method, route, options);
    const refusal = answer.json?.code;
    assert.ok(allowed.includes(answer.status) || allowed.includes(refusal), `${method} ${route}: ${answer.status} ${answer.text.slice(0, 300)}`);
    return allowed.includes(answer.status) ? answer : null;
  }

  /** A session writes the profile: it finds a value that is possible, and leaves another one. */
  async use(profile) {
    const body = { headless: true, profile, on_crash: 'end' };
    const created = await this.request('POST', '/sessions', [201, 'profile_in_use'], { body });
    if (!created) return;
    const session = created.json;
    assert.ok(!this.writers.has(profile), `${profile} has two writers: ${this.writers.get(profile)} and ${session.id}`);
    this.writers.set(profile, session.id);
    const client = await attach(this.server, session);
    const [context] = client.contexts();
    this.found(profile, await context.cookies());
    this.value += 1;
    const value = String(this.value);
    this.possible[profile].add(value);
    await context.addCookies([{ ...COOKIE, value }]);
    const kill = this.random() < 0.4;
    await delay(this.random() * 500);
    if (kill) {
      const [main] = browsers(this.server.runBase).filter(({ argv }) => argv.includes(`${this.server.directory}/profiles/${profile}/data`));
      if (main) process.kill(main.pid, 'SIGKILL');
      this.writers.delete(profile);
      await this.request('DELETE', pathOf(session), [200, 'session_not_found']);
    } else {
      await client.close();
      this.writers.delete(profile);
      await this.request('DELETE', pathOf(session), [200]);
      // Surely stored now.
      this.possible[profile] = new Set([value]);
    }
  }

  /** A session with a copy finds a value that is possible, and changes nothing. */
  async copy(profile) {
    const body = { headless: true, profile, profile_mode: 'copy' };
    const created = await this.request('POST', '/sessions', [201, 'profile_in_use', 'profile_not_found'], { body });
    if (!created) return;
    const client = await attach(this.server, created.json);
    this.found(profile, await client.contexts()[0].cookies(), false);
    await client.contexts()[0].addCookies([{ ...COOKIE, value: 'of a copy' }]);
    await client.close();
    await this.request('DELETE', pathOf(created.json), [200]);
  }

  async patch(profile, number) {
    const changed = await this.request('PATCH', `/profiles/${profile}`, [200, 'profile_not_found'], { body: { notes: String(number) } });
    if (changed) assert.equal(changed.json.name, profile);
  }

  async list() {
    const { json } = await this.request('GET', '/profiles', [200]);
    assert.equal(new Set(json.map(({ name }) => name)).size, json.length);
  }

  async clone(profile, number) {
    const name = `clone-${number}`;
    const cloned = await this.request('POST', `/profiles/${profile}/clone`, [201, 'profile_in_use', 'profile_not_found'], { body: { name } });
    if (cloned) await this.request('DELETE', `/profiles/${name}`, [204]);
  }

  async export(profile, number) {
    const archive = await this.request('GET', `/profiles/${profile}/archive`, [200, 'profile_in_use', 'profile_not_found']);
    if (!archive) return;
    const headers = { 'content-type': 'application/zstd' };
    await this.request('POST', `/profiles/import?name=import-${number}`, [201], { body: archive.bytes, headers });
    await this.request('DELETE', `/profiles/import-${number}`, [204]);
  }

  /** What was found has to be possible; then nothing earlier is. */
  found(profile, cookies, settles = true) {
    const value = cookies.find(({ name }) => name === COOKIE.name)?.value ?? null;
    const possible = this.possible[profile];
    assert.ok(possible.has(value), `${profile} has ${value}, and can only have ${[...possible]}`);
    if (settles) this.possible[profile] = new Set([value]);
  }
}

test('200 operations with kills lose no profile and give none two writers', async () => {
  const storm = new Storm();
  storm.server = await Server.start();
  try {
    await Promise.all(Array.from({ length: CLIENTS }, () => storm.client()));
    for (const session of await storm.server.sessions()) await storm.server.end(session);
    console.error(`${JSON.stringify(storm.counts)}, ${storm.value} values written, ${storm.starts} restarts`);
    const used = PROFILES.filter((name) => storm.possible[name].size > 1 || !storm.possible[name].has(null));
    assert.equal(used.length, PROFILES.length, 'each profile was used');
    for (const profile of PROFILES) {
      const session = await storm.server.create({ headless: true, profile, profile_create: false });
      const client = await attach(storm.server, session);
      storm.found(profile, await client.contexts()[0].cookies());
      await client.close();
      await storm.server.end(session);
      await storm.export(profile, `last-${profile}`);
    }
    const names = (await storm.server.read('/profiles')).map(({ name }) => name).filter((name) => !/^(clone|import)-/.test(name));
    assert.deepEqual(names, PROFILES);
    await storm.server.stop();
  } finally {
    storm.server.discard();
  }
}, { timeout: 240_000 });

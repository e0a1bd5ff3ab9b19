// Measures one camofleet on this machine: warm create, delete compared with killing the browser of a bare
// launchServer, cold create compared with a bare launchServer, displays, memory. Nothing else should run
// meanwhile. `node bench/sessions.mjs [repetitions]`, after `make build` and `make setup-tests`.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { helpers } from './helper.mjs';

const { marked, Server } = await helpers('processes.mjs', 'server.mjs');
/** How long a started browser keeps starting background services, in milliseconds. */
const SETTLE = 4000;
const repetitions = Number(process.argv[2] ?? 30);
const executablePath = '/usr/bin/firefox-esr';
const driver = fileURLToPath(new URL('../actors/driver/', import.meta.url));
const { firefox } = createRequire(path.join(driver, 'driver.mjs'))('playwright-core');

/** Prints median, quartiles and extremes of some durations in milliseconds. */
function report(name, times) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
  console.log(`${name}: p50 ${at(0.5)} ms (p25 ${at(0.25)}, p75 ${at(0.75)}, min ${at(0)}, max ${at(1)}, n=${sorted.length})`);
  return Number(at(0.5));
}

async function timed(action) {
  const start = performance.now();
  const result = await action();
  return [performance.now() - start, result];
}

/** The memory of a process in MB (PSS). */
function pss(pid) {
  const rollup = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+)/m.exec(rollup)[1]) / 1024;
}

function resident(pid) {
  return Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

/** Sums the memory of a server's processes by kind. */
function memory(server) {
  const sums = { camofleet: pss(server.pid), driver: 0, display: 0, browsers: 0 };
  for (const { pid, argv } of marked(server.runBase)) {
    if (pid === server.pid) continue;
    const kind = argv.some((word) => word.endsWith('driver.mjs')) ? 'driver' : /Xvnc|Xvfb|x11vnc/.test(argv[0]) ? 'display' : 'browsers';
    sums[kind] += pss(pid);
  }
  return sums;
}

async function warm(body, name) {
  const server = await Server.start({ RUNNER_PREWARM_HEADLESS: '1', RUNNER_PREWARM_VNC: '1', RUNNER_VNC_RESOLUTION: '1920x1080x24' });
  const [creates, deletes, kills] = [[], [], []];
  for (let i = 0; i < repetitions; i += 1) {
    await server.poolsFull();
    const [create, session] = await timed(() => server.create(body));
    creates.push(create);
    // The delete is timed when the pool's next browser is up and idle, because both would compete for the
    // CPU.
    await server.poolsFull();
    await sleep(SETTLE);
    const [ended] = await timed(() => server.end(session));
    deletes.push(ended);
    // The same with the kernel and Playwright alone, as a reference for this machine at this moment.
    const browser = await firefox.launchServer({ channel: 'moz-firefox', executablePath, headless: true });
    await sleep(SETTLE);
    const [killed] = await timed(() => browser.kill());
    kills.push(killed);
  }
  report(`warm create, ${name}`, creates);
  const ratio = report(`delete, ${name}`, deletes) / report("kill of a bare headless launchServer's browser", kills);
  console.log(`delete / bare kill: ${ratio.toFixed(2)}`);
  await server.stop();
  return deletes;
}

async function cold() {
  const server = await Server.start({ RUNNER_SESSION_DEFAULTS__HEADLESS: 'true' });
  const [ours, bare] = [[], []];
  for (let i = 0; i < Math.min(repetitions, 12); i += 1) {
    const [create, session] = await timed(() => server.create({ headless: true }));
    ours.push(create);
    await server.end(session);
    const [launch, browser] = await timed(() => firefox.launchServer({ channel: 'moz-firefox', executablePath, headless: true }));
    // The first launch includes one-time costs.
    if (i > 0) bare.push(launch);
    await browser.close();
  }
  const ratio = report('cold create', ours.slice(1)) / report('bare launchServer in a warm node', bare);
  console.log(`cold create / bare: ${ratio.toFixed(2)}`);
  await server.stop();
}

async function displays() {
  const server = await Server.start({ RUNNER_VNC_RESOLUTION: '1920x1080x24' });
  for (let i = 0; i < 10; i += 1) await server.end(await server.create({ vnc: true }));
  const text = (await server.request('GET', '/metrics')).text;
  const buckets = [...text.matchAll(/^camofleet_display_ready_seconds_bucket\{le="([^"]+)"\} (\d+)/gm)];
  console.log(`display ready, seconds ≤ count: ${buckets.map(([, le, count]) => `${le}:${count}`).join(' ')}`);
  await server.stop();
}

async function footprint(body, name, count) {
  const server = await Server.start({ RUNNER_VNC_RESOLUTION: '1920x1080x24' });
  const before = memory(server);
  for (let i = 0; i < count; i += 1) await server.create(body);
  const after = memory(server);
  const each = (kind) => (after[kind] - before[kind]) / count;
  const beyond = each('camofleet') + each('display') + after.driver / count;
  console.log(
    `memory with ${count} ${name} sessions: camofleet ${resident(server.pid).toFixed(1)} MB resident; ` +
      `a session beyond its browser ${beyond.toFixed(1)} MB PSS (driver ${(after.driver / count).toFixed(1)}, ` +
      `display ${each('display').toFixed(1)}, camofleet ${each('camofleet').toFixed(2)})`,
  );
  await server.stop();
}

const deletes = [await warm({ headless: true }, 'headless'), await warm({ vnc: true }, 'VNC')];
report('delete, both kinds', deletes.flat());
await cold();
await displays();
await footprint({ headless: true }, 'headless', 4);
await footprint({ headless: true }, 'headless', 8);
await footprint({ vnc: true }, 'VNC', 4);

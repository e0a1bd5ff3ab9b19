// Measures the scale of one control: simulated workers on their own loopback addresses, found by DNS, with
// live sessions. Only control is real. `node bench/scale.mjs [workers] [sessions on each] [seconds]`, after
// `make build` and `make setup-tests`; the simulation takes a CPU core of its own.
import fs from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';
import { helpers } from './helper.mjs';

const { Camofleet, NameServer } = await helpers('camofleet.mjs', 'nameServer.mjs');
const TICKS_PER_SECOND = 100;

/** The address of a simulated worker: below 127.1.0.0, so that all can have the same port. */
const addressOf = (index) => `127.1.${index >> 8}.${index & 255}`;

function session(worker) {
  const now = new Date().toISOString();
  const id = randomUUID();
  return {
    id, status: 'READY', created_at: now, last_seen_at: now, browser: 'firefox', browser_version: '153.7.0', headless: true,
    idle_ttl_seconds: 300, labels: { team: 'checkout', job: id.slice(0, 8) }, worker_id: worker, vnc_enabled: false,
    start_url: 'https://shop.example/', start_url_wait: 'load', start_url_error: null, ws_endpoint: `/sessions/${id}/ws`,
    vnc: { ws: null, http: null, password_protected: false }, vnc_id: null, attached: 1, restarts: 0, on_crash: 'restart',
    contexts: 'keep', request_id: randomUUID(), ended_at: null, end_reason: null, end_detail: null, stale: false,
  };
}

/** One simulated worker: it answers control's requests, without any browsers. */
function simulate(name, count) {
  const sessions = new Map(Array.from({ length: count }, () => session(name)).map((each) => [each.id, each]));
  let listed = null;
  const health = () => ({
    status: 'ok', version: '0.1.0', checks: { engine: 'firefox 153.7.0' }, failing: [],
    facts: { sessions: sessions.size, capacity: 100, draining: false, host_name: name, drivers: 7 },
  });
  return (request, response) => {
    const answer = (status, body) => {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
      response.end(text);
    };
    request.resume();
    const [, , id] = request.url.split('/');
    if (request.url === '/health') return answer(200, health());
    if (request.url === '/sessions?ended=true') return answer(200, '[]');
    if (request.method === 'POST' && request.url === '/sessions') {
      const created = session(name);
      sessions.set(created.id, created);
      listed = null;
      return answer(201, created);
    }
    if (request.method === 'DELETE' && sessions.delete(id)) {
      listed = null;
      return answer(200, { id, status: 'DEAD' });
    }
    if (request.url === '/sessions') return answer(200, (listed ??= JSON.stringify([...sessions.values()])));
    return answer(404, { detail: 'Session not found', code: 'session_not_found' });
  };
}

async function simulateAll({ workers, each, port }) {
  for (let index = 0; index < workers; index += 1) {
    const server = http.createServer({ keepAliveTimeout: 60_000 }, simulate(`pod-${index}`, each));
    server.listen(port, addressOf(index), 64);
    await once(server, 'listening');
  }
  parentPort.postMessage('listening');
}

function report(name, times) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(1);
  console.log(`${name}: p50 ${at(0.5)} ms (p95 ${at(0.95)}, max ${at(1)}, n=${sorted.length})`);
}

async function timed(count, action) {
  const times = [];
  for (let done = 0; done < count; done += 1) {
    const start = performance.now();
    await action(done);
    times.push(performance.now() - start);
  }
  return times;
}

/** The CPU seconds of a process so far. */
function cpu(pid) {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function resident(pid) {
  return Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

/** The CPU load of a process during so many seconds. */
async function load(pid, seconds) {
  const [before, start] = [cpu(pid), performance.now()];
  await sleep(seconds * 1000);
  return ((cpu(pid) - before) / (performance.now() - start)) * 100_000;
}

async function main() {
  const [workers = 1000, each = 50, seconds = 20] = process.argv.slice(2).map(Number);
  const port = 18_080;
  const names = await NameServer.start();
  const simulation = new Worker(fileURLToPath(import.meta.url), { workerData: { workers, each, port } });
  simulation.once('error', (error) => {
    throw error;
  });
  await once(simulation, 'message');
  names.setAddresses('fleet.test', Array.from({ length: workers }, (_, index) => addressOf(index)));
  const started = performance.now();
  const control = await Camofleet.start(
    'control',
    { CONTROL_DISCOVERY: `dns://fleet.test:${port}?nameserver=${names.address}`, RUST_LOG: 'warn', ...JSON.parse(process.env.CONTROL_SETTINGS ?? '{}') },
    { healthy: false },
  );
  const ready = async () => {
    const all = await control.read('/workers');
    return all.length === workers && all.every((worker) => worker.healthy && worker.sessions >= each);
  };
  while (!(await ready())) {
    if (performance.now() - started > 120_000) throw new Error('not all workers are known and healthy after two minutes');
    await sleep(250);
  }
  console.log(`${workers} workers with ${each} sessions each: all known and healthy after ${((performance.now() - started) / 1000).toFixed(1)} s`);
  await sleep(3000);
  console.log(`idle: ${(await load(control.pid, seconds)).toFixed(0)} % of a core, ${resident(control.pid).toFixed(0)} MB resident`);
  report('one session', await timed(200, () => control.request('GET', '/sessions/127-1-0-0/00000000-0000-4000-8000-000000000000')));
  const created = [];
  report('create', await timed(200, async () => created.push(await control.create({ headless: true }))));
  const spread = new Set(created.map(({ worker }) => worker)).size;
  console.log(`200 creates went to ${spread} workers`);
  report('delete', await timed(200, (index) => control.end(created[index])));
  let size = 0;
  report('all sessions', await timed(10, async () => (size = (await control.request('GET', '/sessions')).text.length)));
  report('all workers', await timed(10, () => control.request('GET', '/workers')));
  report('health', await timed(10, () => control.request('GET', '/health')));
  report('metrics', await timed(10, () => control.request('GET', '/metrics')));
  console.log(`a list of all sessions has ${(size / 1e6).toFixed(1)} MB`);
  const stream = http.get(`${control.url}/events`, (response) => response.resume());
  stream.on('error', () => {});
  await sleep(3000);
  console.log(`with one panel open: ${(await load(control.pid, seconds)).toFixed(0)} % of a core, ${resident(control.pid).toFixed(0)} MB resident`);
  stream.destroy();
  const stale = (await control.read('/workers')).filter((worker) => !worker.healthy).length;
  console.log(`workers that were taken for unhealthy at the end: ${stale}`);
  await control.stop();
  names.close();
  await simulation.terminate();
}

if (isMainThread) {
  await main();
} else {
  await simulateAll(workerData);
}

/** Clients that disconnect while their session is being created. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { after, before } from 'node:test';
import { Camofleet, temporaryDirectory } from './helpers/camofleet.mjs';
import { browsers } from './helpers/processes.mjs';
import { standIn } from './helpers/programs.mjs';
import { test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

/** One launch at a time, through three roles: each hop has to pass the disconnect on. */
let [runner, worker, control] = [];
before(async () => {
  runner = await Camofleet.start('runner', { RUNNER_LAUNCH_PERMITS: '1', RUNNER_LAUNCH_QUEUE: '8' });
  worker = await Camofleet.start('worker', { WORKER_RUNNER_BASE_URL: runner.url });
  control = await Camofleet.start('control', { CONTROL_WORKERS: JSON.stringify([{ name: 'one', url: worker.url }]) });
});
after(async () => {
  for (const role of [control, worker, runner]) await role?.stop();
});

/** Requests a session on its own connection. */
async function ask(role) {
  const socket = net.connect(new URL(role.url).port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  const body = '{"headless":true}';
  socket.write(`POST /sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  return socket;
}

/** On a busy machine the end sometimes takes longer; a disconnect that is not passed on costs a whole launch every time. */
const ROUNDS = 5;

async function nothingRuns() {
  await until(async () => (await runner.sessions()).length === 0, 'all sessions to have ended', 10_000);
  await until(() => browsers(runner.runBase).length === 0, 'all browsers to be gone');
}

for (const [how, leave] of [
  ['closes its connection', (socket) => socket.end()],
  ['breaks its connection off', (socket) => socket.resetAndDestroy()],
]) {
  test(`a create ends within a second when its client ${how}, through every role`, async () => {
    const measured = [];
    while (measured.length < ROUNDS && !(measured.at(-1) < 1000)) {
      const socket = await ask(control);
      const begun = async () => (await runner.sessions())[0];
      const session = await until(begun, 'the session to begin');
      const left = Date.now();
      leave(socket);
      const ended = await runner.ended(session);
      assert.equal(ended.end_reason, 'abandoned');
      measured.push(Date.parse(ended.ended_at) - left);
      await nothingRuns();
    }
    assert.ok(measured.at(-1) < 1000, `it took ${measured} ms`);
  });
}

test('two hundred disconnected clients delay another one by no more than one launch', async (context) => {
  const leaving = await Promise.all(Array.from({ length: 200 }, () => ask(control)));
  await until(async () => (await runner.sessions()).length > 0, 'the first to begin');
  for (const socket of leaving) socket.destroy();
  const started = Date.now();
  let session;
  await until(async () => {
    const answer = await control.request('POST', '/sessions', { body: { headless: true } });
    if (answer.status === 503) assert.ok(Number(answer.headers['retry-after']) >= 1, answer.text);
    return (session = answer.status === 201 && answer.json);
  }, 'an honest create');
  context.diagnostic(`an honest create took ${Date.now() - started} ms`);
  await control.end(session);
  await nothingRuns();
  const ended = await runner.sessions({ ended: true });
  assert.ok(ended.filter(({ end_reason: reason }) => reason === 'abandoned').length > 0);
});

test('creates beyond the queue\'s limit are refused with Retry-After, and the error names the setting', async () => {
  const directory = temporaryDirectory();
  // A browser that never starts, so that no place of the queue becomes free meanwhile.
  const sleeper = standIn(directory, 'firefox', 'exec sleep 600');
  const full = await Camofleet.start('runner', { RUNNER_LAUNCH_PERMITS: '1', RUNNER_LAUNCH_QUEUE: '8', RUNNER_FIREFOX_PATH: sleeper });
  try {
    const waiting = await Promise.all(Array.from({ length: 9 }, () => ask(full)));
    await until(async () => (await full.sessions()).length === 9, 'nine creates');
    const { status, headers, json } = await full.request('POST', '/sessions', { body: { headless: true } });
    assert.deepEqual([status, json.code], [503, 'busy']);
    assert.ok(Number(headers['retry-after']) >= 1);
    assert.match(json.detail, /RUNNER_LAUNCH_QUEUE/);
    for (const socket of waiting) socket.destroy();
    await until(async () => (await full.sessions()).length === 0, 'all sessions to have ended');
    await full.stop();
  } finally {
    full.discard();
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

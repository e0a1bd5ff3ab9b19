/** Roles that call each other over TLS. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before } from 'node:test';
import { Camofleet, temporaryDirectory, test } from './helpers/camofleet.mjs';
import { openSocket } from './helpers/http.mjs';
import { CLIENT_HEADERS, attach, blankPage } from './helpers/playwright.mjs';
import { DETECTION_MS, startControl } from './helpers/roles.mjs';
import { Authority, terminateTls } from './helpers/tls.mjs';
import { until } from './helpers/wait.mjs';

let directory, authority, runner, worker, beforeRunner, beforeWorker;

before(async () => {
  directory = temporaryDirectory();
  authority = new Authority(directory, 'localhost');
  runner = await Camofleet.start('runner');
  beforeRunner = await terminateTls(authority, runner.url);
  worker = await Camofleet.start('worker', { WORKER_RUNNER_BASE_URL: `https://localhost:${beforeRunner.port}`, SSL_CERT_FILE: authority.file });
  beforeWorker = await terminateTls(authority, worker.url);
});

after(async () => {
  await worker?.stop();
  await runner?.stop();
  for (const proxy of [beforeWorker, beforeRunner]) proxy?.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

/** A control that calls the worker by this host name, and trusts these authorities. */
const controlOver = (host, trusted, options) =>
  startControl([{ name: 'far', url: `https://${host}:${beforeWorker.port}` }], { SSL_CERT_FILE: trusted }, options);

/** Why a control can't use its worker. */
async function complaint(control) {
  const error = async () => (await control.read('/workers'))[0].detail.error;
  return until(async () => /certificate/i.test(await error()) && error(), 'the certificate to be complained of', DETECTION_MS);
}

test('control’s requests and clients reach a worker, and the worker’s reach its runner, over TLS', async () => {
  const control = await controlOver('localhost', authority.file);
  try {
    const session = await control.create({ headless: true });
    const [atWorker, atRunner] = [beforeWorker.taken(), beforeRunner.taken()];
    const client = await attach(control, session);
    assert.deepEqual([beforeWorker.taken() > atWorker, beforeRunner.taken() > atRunner], [true, true]);
    assert.equal(await (await blankPage(client)).evaluate(() => 6 * 7), 42);
    await client.close();
    await control.end(session);
    assert.deepEqual(await runner.sessions(), []);
  } finally {
    await control.stop();
  }
});

test('a worker with an untrusted authority is not used, and the reason is shown', async () => {
  const strangers = temporaryDirectory();
  const control = await controlOver('localhost', new Authority(strangers, 'localhost').file, { healthy: false });
  try {
    assert.match(await complaint(control), /UnknownIssuer|unknown issuer/i);
    const session = await runner.create({ headless: true });
    const { refusal } = await openSocket(`${control.wsUrl}/sessions/far/${session.id}/ws`, { headers: CLIENT_HEADERS });
    assert.deepEqual([refusal?.status, refusal?.json.code], [502, 'upstream_unreachable']);
    await runner.end(session);
  } finally {
    await control.stop();
    fs.rmSync(strangers, { recursive: true, force: true });
  }
});

test('a certificate for another host is not accepted', async () => {
  const control = await controlOver('127.0.0.1', authority.file, { healthy: false });
  try {
    assert.match(await complaint(control), /NotValidForName|not valid for/i);
  } finally {
    await control.stop();
  }
});

/** The script that fetches Camoufox for the images, against a server in GitHub's place. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { REPOSITORY, run } from './helpers/engine.mjs';

const SCRIPT = path.join(REPOSITORY, 'scripts/fetch-camoufox.sh');
const VERSION = '999.0.1-beta.7';
const ARCHIVE = `/v${VERSION}/camoufox-${VERSION}-lin.arm64.zip`;
let home, archive, checksum, server, baseUrl;
/** How many requests are answered with 503 before the archive is served. */
let failures = 0;
let requests = [];

before(async () => {
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'camoufox-'));
  const file = path.join(home, 'archive.zip');
  const program = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    binary = zipfile.ZipInfo("camoufox-bin"); binary.external_attr = 0o755 << 16
    archive.writestr(binary, "#!/bin/sh\\n")
    archive.writestr("properties.json", "[]")`;
  assert.equal((await run('python3', ['-c', program, file])).status, 0);
  archive = fs.readFileSync(file);
  checksum = createHash('sha256').update(archive).digest('hex');
  server = http.createServer((request, response) => {
    requests.push(request.url);
    const status = requests.length <= failures ? 503 : request.url === ARCHIVE ? 200 : 404;
    response.writeHead(status).end(status === 200 ? archive : 'no');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  baseUrl = `http://127.0.0.1:${server.address().port}`;
});

beforeEach(() => {
  failures = 0;
  requests = [];
});

after(() => {
  server?.closeAllConnections();
  server?.close();
  fs.rmSync(home, { recursive: true, force: true });
});

async function fetchCamoufox(version, settings = {}) {
  const directory = fs.mkdtempSync(path.join(home, 'out-'));
  const env = { CAMOUFOX_BASE_URL: baseUrl, CAMOUFOX_RETRY_DELAY: '1', CAMOUFOX_SHA256: '', TARGETARCH: 'arm64', no_proxy: '127.0.0.1', ...settings };
  return { directory, ...(await run(SCRIPT, [version, directory], { env })) };
}

test('an archive with the right checksum is unpacked, with its version file', async () => {
  const { status, stderr, directory } = await fetchCamoufox(VERSION, { CAMOUFOX_SHA256: checksum });
  assert.deepEqual([status, stderr], [0, '']);
  assert.ok(fs.statSync(path.join(directory, 'camoufox-bin')).mode & 0o001, 'anybody may run it');
  assert.deepEqual(JSON.parse(fs.readFileSync(path.join(directory, 'version.json'))), { version: '999.0.1', release: 'beta.7' });
});

test('an archive with another checksum is refused, and nothing of it is unpacked', async () => {
  const { status, stderr, directory } = await fetchCamoufox(VERSION, { CAMOUFOX_SHA256: 'f'.repeat(64) });
  assert.equal(status, 1);
  assert.ok(stderr.includes(`has the checksum ${checksum}, not ${'f'.repeat(64)}`), stderr);
  assert.deepEqual(fs.readdirSync(directory), []);
});

test('a release without a known checksum is not fetched, and the error names the remedies', async () => {
  const { status, stderr } = await fetchCamoufox(VERSION);
  assert.equal(status, 1);
  assert.match(stderr, /CAMOUFOX_SHA256.*CAMOUFOX=none/s);
  assert.deepEqual(requests, []);
});

test('a request is retried while the server fails', async () => {
  failures = 2;
  const { status, stderr } = await fetchCamoufox(VERSION, { CAMOUFOX_SHA256: checksum });
  assert.equal(status, 0, stderr);
  assert.equal(requests.length, 3);
});

test('a missing release is reported with its URL and the remedies', async () => {
  const { status, stderr } = await fetchCamoufox('1.2.3-beta.4', { CAMOUFOX_SHA256: checksum });
  assert.equal(status, 1);
  assert.match(stderr, /can't fetch http:\/\/127\.0\.0\.1:\d+\/v1\.2\.3-beta\.4\/camoufox-1\.2\.3-beta\.4-lin\.arm64\.zip.*CAMOUFOX_BASE_URL.*CAMOUFOX=none/s);
});

test('every archive of the default release has a checksum for both architectures of the images', () => {
  const [, version] = /^ARG CAMOUFOX=(\S+)$/m.exec(fs.readFileSync(path.join(REPOSITORY, 'Dockerfile'), 'utf8'));
  const known = fs.readFileSync(path.join(REPOSITORY, 'scripts/camoufox.sha256'), 'utf8');
  for (const machine of ['x86_64', 'arm64']) assert.match(known, new RegExp(`^[0-9a-f]{64}  camoufox-${version}-lin\\.${machine}\\.zip$`, 'm'));
  assert.ok(fs.readFileSync(path.join(REPOSITORY, 'compose.yaml'), 'utf8').includes(`\${CAMOUFOX:-${version}}`));
});

test('without Camoufox nothing is requested', async () => {
  const { status, directory } = await fetchCamoufox('none');
  assert.equal(status, 0);
  assert.deepEqual([fs.readdirSync(directory), requests], [[], []]);
});

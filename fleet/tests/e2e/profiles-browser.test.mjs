/** What a browser itself remembers for its user, besides what sites store: a profile keeps it too. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from './helpers/camofleet.mjs';
import { attach } from './helpers/playwright.mjs';
import { dante } from './helpers/proxies.mjs';
import { Server, test } from './helpers/server.mjs';
import { Authority } from './helpers/tls.mjs';

/** Firefox asks for no TLS of names below localhost. */
const HOST = 'shop.example';
const VAULT = fileURLToPath(new URL('helpers/vault.py', import.meta.url));
const LOGIN = { username: 'anna', password: 'pä55 "word' };
const FORM = '<!doctype html><title>login</title><form method="post"><input name="user" autocomplete="username"><input name="pass" type="password"></form>';
/** The first byte of a TLS handshake. */
const HANDSHAKE = 22;

/** A site with a login form, with and without TLS on one port, as an upgrade to TLS keeps the port. Over TLS it asks for that from then on. */
async function openSite(identity) {
  const answer = (request, response) => {
    if (request.socket.encrypted) response.setHeader('strict-transport-security', 'max-age=31536000');
    response.setHeader('content-type', 'text/html').end(FORM);
  };
  const inner = [http.createServer(answer), https.createServer(identity, answer)];
  await Promise.all(inner.map((server) => once(server.listen(0, '127.0.0.1'), 'listening')));
  const server = net.createServer((outside) => {
    outside.on('error', () => {}).once('data', (first) => {
      const { port } = inner[first[0] === HANDSHAKE ? 1 : 0].address();
      const inside = net.connect(port, '127.0.0.1').on('error', () => outside.destroy());
      inside.write(first);
      outside.pipe(inside).pipe(outside);
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = () => {
    for (const each of [server, ...inner]) each.close();
    for (const each of inner) each.closeAllConnections();
  };
  return { port: server.address().port, close };
}

test('permissions, history, HSTS and passwords outlive sessions, an export and an import', async () => {
  const directory = temporaryDirectory();
  const authority = new Authority(directory, HOST);
  const site = await openSite(authority.identity);
  const proxy = await dante({ from: '127.0.0.2', names: { [HOST]: '127.0.0.1' } });
  const server = await Server.start();
  const origin = `https://${HOST}:${site.port}`;
  const plain = `http://${HOST}:${site.port}/`;
  const open = async (profile) => {
    const session = await server.create({ headless: true, profile, proxy: proxy.url });
    const client = await attach(server, session);
    const [context] = client.contexts();
    return { session, client, context, page: context.pages()[0] ?? (await context.newPage()) };
  };
  const close = async ({ session, client }) => {
    await client.close();
    await server.end(session);
  };
  const visited = (profile) => {
    const file = path.join(server.directory, 'profiles', profile, 'data/places.sqlite');
    const read = 'import sqlite3, sys; print("\\n".join(url for url, in sqlite3.connect(sys.argv[1]).execute("select url from moz_places")))';
    return execFileSync('python3', ['-c', read, file], { encoding: 'utf8' }).split('\n');
  };
  try {
    const made = await server.request('POST', '/profiles', { body: { name: 'anna' } });
    assert.equal(made.status, 201, made.text);
    const [, executable] = /\((\/.*)\)$/.exec((await server.checks()).engine);
    const libraries = path.dirname(fs.realpathSync(executable));
    const der = path.join(directory, 'ca.der');
    execFileSync('openssl', ['x509', '-in', authority.file, '-outform', 'der', '-out', der]);
    const data = path.join(server.directory, 'profiles/anna/data');
    fs.mkdirSync(data, { recursive: true });
    // Firefox' NSS needs its own other libraries, not the system's.
    const env = { ...process.env, LD_LIBRARY_PATH: libraries };
    execFileSync('python3', ['-B', VAULT, libraries, data, origin, LOGIN.username, LOGIN.password, der], { env });

    const first = await open('anna');
    await first.page.goto(plain);
    assert.equal(first.page.url(), plain, 'not yet over TLS');
    await first.page.goto(`${origin}/once`);
    await first.context.grantPermissions(['geolocation'], { origin });
    await close(first);

    const remembers = async (profile) => {
      const session = await open(profile);
      const { page } = session;
      await page.goto(plain);
      assert.equal(page.url(), `${origin}/`, 'HSTS');
      await page.waitForFunction(() => document.forms[0].pass.value !== '');
      const filled = await page.evaluate(() => ({ username: document.forms[0].user.value, password: document.forms[0].pass.value }));
      assert.deepEqual(filled, LOGIN);
      assert.equal(await page.evaluate(async () => (await navigator.permissions.query({ name: 'geolocation' })).state), 'granted');
      await close(session);
      const urls = visited(profile);
      assert.ok([plain, `${origin}/once`, `${origin}/`].every((url) => urls.includes(url)), urls.join(' '));
    };
    await remembers('anna');
    const archive = await server.request('GET', '/profiles/anna/archive');
    const headers = { 'content-type': 'application/zstd' };
    const imported = await server.request('POST', '/profiles/import?name=moved', { body: archive.bytes, headers });
    assert.equal(imported.status, 201, imported.text);
    await remembers('moved');
    await server.stop();
  } finally {
    server.discard();
    site.close();
    await proxy.stop();
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

/** The context that every client finds, with and without stored user data. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import test from 'node:test';
import { firefox } from 'playwright-core';
import { until, withDriver } from './harness.mjs';

const COOKIE = { name: 'who', value: 'me', domain: 'a.example', path: '/', expires: 4_000_000_000 };

/** How many pages each context of a client has. */
const pages = (client) => client.contexts().map((context) => context.pages().length);
const names = async (context) => (await context.cookies()).map(({ name }) => name);

test('without user data: every client finds an empty context, and a new one when it was closed', withDriver(async (driver) => {
  const { endpoint } = await driver.launched('a');
  const [one, other] = [await firefox.connect(endpoint), await firefox.connect(endpoint)];
  assert.deepEqual([pages(one), pages(other)], [[0], [0]]);
  const [context] = one.contexts();
  const page = await context.newPage();
  assert.equal(page.viewportSize(), null);
  await context.addCookies([COOKIE]);
  await (await one.newContext()).newPage();

  await context.close();
  assert.ok(one.isConnected() && other.isConnected());
  const third = await firefox.connect(endpoint);
  assert.deepEqual(pages(third), [0, 1], 'the default context is the first one again');
  assert.deepEqual(await names(third.contexts()[0]), [], 'and has nothing of the closed one');
  await until(() => other.contexts().length === 2, 'the other client to see the same');
}));

test('with user data: a client that closes the context finds a blank page and the same data, and nobody is disconnected', withDriver(async (driver) => {
  const userData = path.join(driver.directory, 'user-data');
  const options = { user_data: userData };
  const { endpoint } = await driver.launched('a', { ...options, preferences: { 'test.once': 'x', 'test.always': 1 } });
  const [one, other] = [await firefox.connect(endpoint), await firefox.connect(endpoint)];
  assert.deepEqual([pages(one), pages(other)], [[1], [1]]);
  const [context] = one.contexts();
  await context.pages()[0].goto('data:text/html,mine');
  await context.addCookies([COOKIE]);
  await context.setExtraHTTPHeaders({ 'x-client': 'one' });

  const closed = new Promise((resolve) => context.once('close', resolve));
  await context.close();
  await closed;
  const [again] = one.contexts();
  assert.notEqual(again, context);
  assert.deepEqual([pages(one), again.pages()[0].url()], [[1], 'about:blank']);
  assert.deepEqual(await names(again), ['who']);
  await until(() => pages(other).join() === '1' && other.contexts()[0].pages()[0].url() === 'about:blank', 'the other client');
  await again.pages()[0].goto('data:text/html,usable');
  await (await one.newContext()).newPage();

  driver.send({ type: 'close', id: 'a', patience_ms: 10_000 });
  const { code, requested } = await driver.event('exited', { id: 'a' });
  assert.deepEqual({ code, requested }, { code: 0, requested: true });

  const second = await driver.launched('b', { ...options, preferences: { 'test.always': 2 } });
  const [stored] = (await firefox.connect(second.endpoint)).contexts();
  assert.deepEqual(await names(stored), ['who']);
  driver.send({ type: 'close', id: 'b', patience_ms: 10_000 });
  await driver.event('exited', { id: 'b' });
  const containers = JSON.parse(fs.readFileSync(path.join(userData, 'containers.json'))).identities;
  assert.deepEqual(containers.filter(({ public: isPublic, name }) => isPublic && /^webdriver/i.test(name)), [], 'contexts leave no containers');
  const preferences = fs.readFileSync(path.join(userData, 'prefs.js'), 'utf8');
  assert.doesNotMatch(preferences, /test\.once|x-client/, 'a preference of an earlier launch is no longer set');
  assert.match(preferences, /"test\.always", 2/);
}));

test('cookies are read and replaced as a whole', withDriver(async (driver) => {
  await driver.launched('a');
  const file = (name, content) => {
    const place = path.join(driver.directory, name);
    if (content) fs.writeFileSync(place, JSON.stringify(content));
    return place;
  };
  const write = (cookies) => driver.done({ type: 'write_cookies', id: 'a', file: file('in.json', cookies) });
  const read = async (name) => {
    const { error } = await driver.done({ type: 'read_cookies', id: 'a', file: file(name) });
    assert.equal(error, null);
    return JSON.parse(fs.readFileSync(file(name))).map((cookie) => cookie.name);
  };
  const done = await write([COOKIE]);
  assert.deepEqual([done.error, done.refused], [null, false]);
  assert.deepEqual(await read('1.json'), ['who']);
  const refusal = await write([{ ...COOKIE, name: 'new' }, { name: 'nowhere', value: '1' }]);
  assert.match(refusal.error, /url|domain/);
  const nobodys = await write([{ ...COOKIE, domain: '.com' }]);
  assert.match(nobodys.error, /no site could set who of \.com/);
  assert.deepEqual([refusal.refused, nobodys.refused], [true, true]);
  assert.deepEqual(await read('2.json'), ['who'], 'a list with an invalid cookie changes nothing');
  assert.equal((await write([{ ...COOKIE, name: 'new' }])).error, null);
  assert.deepEqual(await read('3.json'), ['new']);
  const failure = await driver.done({ type: 'read_cookies', id: 'a', file: file('3.json') });
  assert.match(failure.error, /EEXIST/);
  assert.equal(failure.refused, false);
}));

test('a browser that does not end by itself in time is killed', withDriver(async (driver) => {
  const { pid } = await driver.launched('a', { user_data: path.join(driver.directory, 'user-data') });
  process.kill(pid, 'SIGSTOP');
  driver.send({ type: 'close', id: 'a', patience_ms: 300 });
  const { signal, requested } = await driver.event('exited', { id: 'a' });
  assert.deepEqual({ signal, requested }, { signal: 'SIGKILL', requested: true });
}));

test('cookies without an expiry are there in the next browser, also after a crash', withDriver(async (driver) => {
  const options = { user_data: path.join(driver.directory, 'user-data') };
  const session = { name: 'login', value: '1', domain: 'a.example', path: '/', httpOnly: true, sameSite: 'Lax' };
  const first = await driver.launched('a', options);
  const [context] = (await firefox.connect(first.endpoint)).contexts();
  await context.addCookies([session]);
  driver.send({ type: 'close', id: 'a', patience_ms: 10_000 });
  assert.equal((await driver.event('exited', { id: 'a' })).code, 0);

  const second = await driver.launched('b', options);
  const [again] = (await firefox.connect(second.endpoint)).contexts();
  const [{ expires, ...rest }] = await again.cookies();
  assert.equal(expires, -1);
  for (const [field, value] of Object.entries(session)) assert.equal(rest[field], value, field);
  await again.addCookies([{ ...session, name: 'second' }]);
  const stored = path.join(options.user_data, 'camofleet-session-cookies.json');
  await until(() => fs.readFileSync(stored, 'utf8').includes('second'), 'the cookies to be stored');
  process.kill(second.pid, 'SIGKILL');
  await driver.event('exited', { id: 'b' });

  fs.writeFileSync(path.join(options.user_data, 'prefs.js.camofleet'), 'cut off');
  const third = await driver.launched('c', options);
  assert.deepEqual((await names((await firefox.connect(third.endpoint)).contexts()[0])).sort(), ['login', 'second']);
  driver.send({ type: 'close', id: 'c' });
  await driver.event('exited', { id: 'c' });

  fs.writeFileSync(stored, '[{"name": ');
  const fourth = await driver.launched('d', options);
  assert.deepEqual(await names((await firefox.connect(fourth.endpoint)).contexts()[0]), [], 'a damaged file is no obstacle');
  assert.match(driver.stderr, /session cookies were not restored/);
}));

test('the cookies of a profile are not those of other contexts, and not those of frames of other sites', withDriver(async (driver) => {
  const options = { user_data: path.join(driver.directory, 'user-data') };
  const site = http.createServer((request, response) => {
    const [kind] = request.headers.host.split('.');
    const cookies = { shop: ['own=1', 'long=1; Max-Age=9999'], frame: ['framed=1', 'apart=1; SameSite=None; Secure; Partitioned'] };
    response.writeHead(200, { 'content-type': 'text/html', 'set-cookie': cookies[kind] ?? [] });
    response.end(kind === 'shop' ? `<iframe src="http://frame.localhost:${site.address().port}/"></iframe>` : String(request.headers.cookie));
  });
  await once(site.listen(0, '127.0.0.1'), 'listening');
  try {
    const first = await driver.launched('a', options);
    const client = await firefox.connect(first.endpoint);
    const [context] = client.contexts();
    const beside = await client.newContext();
    await beside.addCookies([{ ...COOKIE, expires: -1, name: 'theirs' }]);
    await context.addCookies([{ ...COOKIE, expires: -1, name: 'text', value: 'ü' }]);
    await context.pages()[0].goto(`http://shop.localhost:${site.address().port}/`);
    assert.ok(!(await names(context)).includes('theirs'));
    const stored = path.join(options.user_data, 'camofleet-session-cookies.json');
    await until(() => fs.existsSync(stored) && fs.readFileSync(stored, 'utf8').includes('own'), 'the cookies to be stored');
    assert.deepEqual(JSON.parse(fs.readFileSync(stored, 'utf8')).map(({ name }) => name), ['own']);
    await context.clearCookies();
    assert.deepEqual([await names(context), await names(beside)], [[], ['theirs']]);
  } finally {
    site.close();
  }
}));

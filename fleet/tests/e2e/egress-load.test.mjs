/** The egress of a session under load: many connections, slow readers, slow proxies and many downloads at once. */
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { LoadSite } from './helpers/loadSite.mjs';
import { attach, blankPage } from './helpers/playwright.mjs';
import { countThreads, residentBytes } from './helpers/processes.mjs';
import { Server, test } from './helpers/server.mjs';
import { SlowProxy } from './helpers/slowProxy.mjs';
import { connectThrough, egressSockets } from './helpers/socks.mjs';
import { until } from './helpers/wait.mjs';

const [KIB, MIB] = [1 << 10, 1 << 20];
const CONNECTIONS = 500;
/** Firefox opens 6 connections to one host. */
const CONNECTIONS_TO_HOST = 5;
/** What an open connection may take of camofleet's memory. */
const MOST_PER_CONNECTION = 16 * KIB;
const DOWNLOADS = 20;
const DOWNLOAD = 64 * MIB;
/** How many readers stop, and how many uploads a slow proxy has. */
const READERS = 20;
const UPLOADS = 10;
/** How slow the proxy is: in milliseconds before its answer, and in bytes a second. */
const ANSWER_AFTER = 2000;
const SLOW_RATE = 64 * KIB;
/** The least part of its rate that a download keeps while others are slow; the rates of a busy machine vary. */
const KEEPS = 1 / 4;

let site, proxy, server, session, slow, page, slowPage, socket;
before(async () => {
  site = await LoadSite.open();
  proxy = await SlowProxy.open({ answerAfter: ANSWER_AFTER, rate: SLOW_RATE });
  server = await Server.start();
  const visitor = async (body, host) => {
    const session = await server.create({ headless: true, ...body });
    const page = await blankPage(await attach(server, session));
    await page.goto(site.at(host, '/page'));
    return [session, page];
  };
  [[session, page], [slow, slowPage]] = await Promise.all([
    visitor({}, 'page'),
    visitor({ proxy: { server: proxy.url, bypass: 'direct.localhost' } }, 'direct'),
  ]);
  socket = await socketOf(session);
});
after(async () => {
  await server?.stop();
  site?.close();
  proxy?.close();
});

const egress = ({ id }) => server.read(`/sessions/local/${id}/egress`);
const report = async (visitor = session) => (await egress(visitor)).totals;

/** Waits until neither the session nor the site has an open connection. */
const quiet = () =>
  until(async () => {
    site.closeUnused();
    return (await report()).open_connections === 0 && site.connections === 0;
  }, 'all connections to be closed');

/**
 * The socket of a session's egress: the one whose connections to an address are reported there. Browsers connect to names only,
 * and make connections of their own at any moment, so that a count would not tell.
 */
async function socketOf(session) {
  for (const socket of egressSockets(server.runBase)) {
    (await connectThrough(socket, site.port)).destroy();
    if ((await egress(session)).hosts.some(({ host }) => host === '127.0.0.1')) return socket;
  }
  throw new Error('the session has no egress socket');
}

/** Connects this many plain clients, and disconnects them after their use, also if it fails, so that later tests find none. */
async function withClients(count, greet, use) {
  const clients = [];
  try {
    const connections = Array.from({ length: count }, async (_, i) => {
      const client = await connectThrough(socket, site.port);
      clients.push(client);
      greet(client, i);
    });
    await Promise.allSettled(connections);
    await Promise.all(connections);
    await use();
  } finally {
    for (const client of clients) client.destroy();
  }
  await quiet();
}

/** Measures camofleet until it is stopped: by how many bytes its memory grew, at most and last, and its threads. */
function watch() {
  const [bytes, threads] = [residentBytes(server.pid), countThreads(server.pid)];
  let [most, mostThreads] = [0, 0];
  const measure = () => {
    const grown = residentBytes(server.pid) - bytes;
    [most, mostThreads] = [Math.max(most, grown), Math.max(mostThreads, countThreads(server.pid) - threads)];
    return grown;
  };
  const timer = setInterval(measure, 10).unref();
  return () => {
    const last = measure();
    clearInterval(timer);
    return { most, last, threads: mostThreads };
  };
}

/** The best rate of three downloads by a page, in bytes per second. */
async function bestRate(page, host = 'rate', size = 16 * MIB) {
  const rates = [];
  for (let i = 0; i < 3; i += 1) {
    rates.push(
      await page.evaluate(
        async ([url, size]) => {
          const start = performance.now();
          const { byteLength } = await (await fetch(url)).arrayBuffer();
          if (byteLength !== size) throw new Error(`${byteLength} bytes`);
          return (size * 1000) / (performance.now() - start);
        },
        [site.at(host, `/bytes/rate/${size}`), size],
      ),
    );
  }
  return Math.max(...rates);
}

/** The rate of downloads while others are slow, which keeps the least part of `alone`: the neighbours of a test come in bursts. */
async function keptRate(page, alone, host) {
  let best = 0;
  for (let i = 0; i < 10 && best <= alone * KEEPS; i += 1) best = Math.max(best, await bestRate(page, host));
  assert.ok(best > alone * KEEPS, `${alone} → ${best}`);
  return best;
}

const megabytes = (bytes) => (bytes / MIB).toFixed(1);

test('a page holds 500 connections open, and each still gets its message', async (context) => {
  const own = await page.context().newPage();
  await own.goto(site.at('page', '/page'));
  await quiet();
  const measured = watch();
  const urls = Array.from({ length: CONNECTIONS }, (_, i) => site.at(`host${Math.floor(i / CONNECTIONS_TO_HOST)}`, `/hold/${i}`));
  await own.evaluate(async (urls) => {
    const decoder = new TextDecoder();
    const read = async (reader) => decoder.decode((await reader.read()).value);
    window.streams = await Promise.all(
      urls.map(async (url) => {
        const reader = (await fetch(url)).body.getReader();
        if ((await read(reader)) !== 'open;') throw new Error(`${url} is not open`);
        return () => read(reader);
      }),
    );
  }, urls);
  // Connections that Firefox opened and did not need are closed, or counted on both sides.
  await until(async () => (await report()).open_connections === site.connections, 'both counts to be the same');
  assert.ok(site.connections >= CONNECTIONS && site.held.size === CONNECTIONS, `${site.connections} connections, ${site.held.size} streams`);
  const { most, last } = measured();
  site.greet();
  const messages = await own.evaluate(() => Promise.all(window.streams.map((read) => read())));
  assert.deepEqual(messages, urls.map((_, i) => `message for ${i};`));
  context.diagnostic(`${(last / CONNECTIONS / KIB).toFixed(1)} KiB for each, ${(most / CONNECTIONS / KIB).toFixed(1)} at most`);
  assert.ok(most < CONNECTIONS * MOST_PER_CONNECTION, `${most} bytes more`);
  await own.close();
  await quiet();
});

test('a burst of 500 connections is served by few threads and little memory', async (context) => {
  await quiet();
  const measured = watch();
  const start = performance.now();
  // From plain clients, since Firefox makes no more than 80 requests a second.
  const times = [];
  const connected = () => times.push(performance.now() - start);
  await withClients(CONNECTIONS, connected, async () => {
    const { open_connections: open } = await report();
    assert.ok(open >= CONNECTIONS, `${open} open connections`);
    const { most, threads } = measured();
    context.diagnostic(
      `the first after ${times[0].toFixed(0)} ms, the last after ${times.at(-1).toFixed(0)} ms; ${(most / CONNECTIONS / KIB).toFixed(1)} KiB each, ${threads} more threads`,
    );
    assert.ok(threads <= 16, `${threads} more threads`);
    assert.ok(most < CONNECTIONS * MOST_PER_CONNECTION, `${most} bytes more`);
  });
});

test('readers that stop slow no other download, and what is kept for them is bounded', async (context) => {
  await quiet();
  const alone = await bestRate(page);
  const measured = watch();
  // Plain clients, since Firefox reads the bodies of requests ahead without a limit, whether or not the page reads them.
  const start = (client, i) => client.write(`GET /bytes/stopped${i}/${2 ** 40} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  const written = () => [...site.written].filter(([name]) => name.startsWith('stopped')).map(([, bytes]) => bytes);
  await withClients(READERS, start, async () => {
    let [total, since] = [-1, 0];
    await until(() => {
      const now = written().reduce((sum, bytes) => sum + bytes, 0);
      if (now !== total) [total, since] = [now, performance.now()];
      return written().length === READERS && performance.now() - since > 500;
    }, 'the site to have stopped sending');
    const beside = await keptRate(page, alone);
    const { most } = measured();
    context.diagnostic(
      `${megabytes(alone)} MiB/s alone, ${megabytes(beside)} beside ${READERS} readers that stopped; ${(most / KIB / READERS).toFixed(0)} KiB for each, to which the site sent ${megabytes(total / READERS)} MiB`,
    );
    const { open_connections: open } = await report();
    assert.ok(open >= READERS, `${open} open connections`);
    assert.ok(most < 16 * MIB, `${most} bytes more`);
    for (const bytes of written()) assert.ok(bytes < 64 * MIB, `${bytes} bytes were sent to a reader that stopped`);
  });
});

test('a slow proxy slows neither other exits nor other sessions, and its own connections complete', async (context) => {
  await quiet();
  const size = 2 * SLOW_RATE;
  const alone = { exit: await bestRate(slowPage, 'direct'), session: await bestRate(page) };
  const measured = watch();
  await slowPage.evaluate(
    ([download, uploads, size]) => {
      const start = performance.now();
      window.download = fetch(download).then(async (answer) => [(await answer.arrayBuffer()).byteLength, performance.now() - start]);
      window.abort = new AbortController();
      const body = new Blob([new Uint8Array(size)]);
      for (const url of uploads) fetch(url, { method: 'POST', body, signal: window.abort.signal }).catch(() => {});
    },
    [site.at('slow', `/bytes/slow/${size}`), Array.from({ length: UPLOADS }, (_, i) => site.at(`upload${i}`, `/upload/${i}`)), 16 * MIB],
  );
  // Before the proxy answers, and while it forwards.
  const rates = async () => ({ exit: await keptRate(slowPage, alone.exit, 'direct'), session: await keptRate(page, alone.session) });
  const waiting = await rates();
  await until(() => proxy.tunnels >= UPLOADS + 1, 'the tunnels to be open');
  const forwarding = await rates();
  const [received, took] = await slowPage.evaluate(() => window.download);
  const { most } = measured();
  context.diagnostic(
    `another exit: ${megabytes(alone.exit)} MiB/s alone, then ${megabytes(waiting.exit)} and ${megabytes(forwarding.exit)}; another session: ${megabytes(alone.session)}, ${megabytes(waiting.session)} and ${megabytes(forwarding.session)}; ${size / KIB} KiB took ${(took / 1000).toFixed(1)} s; ${megabytes(most)} MiB of memory`,
  );
  assert.equal(received, size);
  assert.ok(took > ANSWER_AFTER + 500, `it took only ${took} ms`);
  assert.ok(most < 16 * MIB, `${most} bytes more, for uploads of ${16 * UPLOADS} MiB`);
  await slowPage.evaluate(() => window.abort.abort());
  // Although the proxy takes what the kernel kept of them for a while yet.
  await until(async () => {
    site.closeUnused();
    return (await report(slow)).open_connections === 0;
  }, 'the uploads to be closed');
  proxy.close();
});

test('20 downloads of 64 MiB at once share the egress, with bounded memory', async (context) => {
  await quiet();
  const measured = watch();
  const times = await page.evaluate(
    ([urls, size]) => {
      const start = performance.now();
      return Promise.all(
        urls.map(async (url) => {
          const reader = (await fetch(url)).body.getReader();
          let received = 0;
          for (;;) {
            const { done, value } = await reader.read();
            if (done) break;
            received += value.length;
          }
          if (received !== size) throw new Error(`${received} bytes`);
          return performance.now() - start;
        }),
      );
    },
    [Array.from({ length: DOWNLOADS }, (_, i) => site.at(`download${i}`, `/bytes/download/${DOWNLOAD}`)), DOWNLOAD],
  );
  const { most } = measured();
  times.sort((a, b) => a - b);
  const [first, median, last] = [times[0], times[DOWNLOADS / 2], times.at(-1)];
  const seconds = (time) => (time / 1000).toFixed(2);
  context.diagnostic(
    `the first ended after ${seconds(first)} s, the median after ${seconds(median)} s, the last after ${seconds(last)} s: ${megabytes((DOWNLOADS * DOWNLOAD * 1000) / last)} MiB/s; ${megabytes(most)} MiB of memory`,
  );
  assert.ok(last < 3 * median, times.join());
  assert.ok(most < 64 * MIB, `${most} bytes more`);
  await quiet();
});

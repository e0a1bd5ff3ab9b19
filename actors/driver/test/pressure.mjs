/**
 * Shared by the tests of a driver's memory: a driver with two browsers, one of which is attacked, and the
 * driver's size.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { after, before } from 'node:test';
import { firefox } from 'playwright-core';
import { TestDriver } from './harness.mjs';

export const MIB = 1 << 20;

/** Watches the memory of the driver, in MiB. */
export class Memory {
  #most = 0;
  #timer;

  constructor() {
    this.before = this.now();
    this.#timer = setInterval(() => (this.#most = Math.max(this.#most, this.now())), 50);
  }

  now() {
    return Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${driver.process.pid}/status`, 'utf8'))[1]) / 1024;
  }

  /** Stops watching; the driver must not have grown by more than this. */
  grewLessThan(most, context) {
    clearInterval(this.#timer);
    const peak = Math.max(this.#most, this.now());
    context.diagnostic(`the driver had ${Math.round(this.before)} MiB before and ${Math.round(peak)} MiB at most`);
    assert.ok(peak - this.before < most, `the driver grew from ${this.before} to ${peak} MiB`);
  }
}

/**
 * One driver for all tests of a file, with a browser that is attacked and another that has to keep
 * responding.
 */
export let driver;
/** The address of the browser that is attacked. */
export let endpoint;

before(async () => {
  driver = new TestDriver();
  [{ endpoint }] = await Promise.all([driver.launched('a'), driver.launched('bystander')]);
});
after(() => driver.stop());

/** Runs a test with its own client and page. */
export function withPage(body) {
  return async (context) => {
    const browser = await firefox.connect(endpoint);
    const owned = await browser.newContext();
    try {
      await body({ context, browser, page: await owned.newPage() });
      const started = performance.now();
      assert.equal((await driver.done({ type: 'check', id: 'bystander', timeout_ms: 20_000 })).error, null);
      context.diagnostic(`the bystander answered within ${Math.round(performance.now() - started)} ms`);
    } finally {
      await owned.close();
      await browser.close();
    }
  };
}

/** Serves responses by path on loopback. */
export async function serve(answers) {
  const server = http.createServer((request, response) => answers[request.url.split('?')[0]]?.(response, request) ?? response.end());
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

// Measures what the egress costs: warm creates with a proxy, and a download in Firefox by it beside one of a bare Firefox
// that connects directly, interleaved. Nothing else should run meanwhile. `node bench/egress.mjs [repetitions]`, after
// `make build` and `make setup-tests`.
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { helpers } from './helper.mjs';

const { attach, blankPage, dante, ExitSite, Server } = await helpers('server.mjs', 'playwright.mjs', 'proxies.mjs', 'exitSite.mjs');
const driver = fileURLToPath(new URL('../actors/driver/', import.meta.url));
const { firefox } = createRequire(path.join(driver, 'driver.mjs'))('playwright-core');
const repetitions = Number(process.argv[2] ?? 10);
const BYTES = 200_000_000;

/** Prints the median and the extremes of some figures. */
function report(name, values, unit) {
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  console.log(`${name}: p50 ${median.toFixed(1)} ${unit} (${sorted[0].toFixed(1)}–${sorted.at(-1).toFixed(1)}, n=${sorted.length})`);
  return median;
}

/** The MB per second of one download by a page. */
async function download(page, site) {
  await page.goto(`http://127.0.0.1:${site.port}/from`);
  const took = await page.evaluate(async (bytes) => {
    const start = performance.now();
    const reader = (await fetch(`/bytes/${bytes}`)).body.getReader();
    let received = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      received += value.length;
    }
    if (received !== bytes) throw new Error(`${received} bytes`);
    return performance.now() - start;
  }, BYTES);
  return BYTES / 1000 / took;
}

const site = await ExitSite.open();
const proxy = await dante({ from: '127.0.0.2' });
const server = await Server.start({ RUNNER_PREWARM_HEADLESS: '1' });
try {
  const creates = [];
  for (let i = 0; i < repetitions; i += 1) {
    await server.poolsFull();
    const start = performance.now();
    const session = await server.create({ headless: true, proxy: proxy.url });
    creates.push(performance.now() - start);
    await server.end(session);
  }
  report('warm create with a proxy', creates, 'ms');

  const session = await server.create({ headless: true });
  const client = await attach(server, session);
  const bare = await firefox.launch({ channel: 'moz-firefox', executablePath: '/usr/bin/firefox-esr', headless: true });
  const [bySession, directly] = [await blankPage(client), await (await bare.newContext()).newPage()];
  const [egress, direct] = [[], []];
  for (let i = 0; i < repetitions; i += 1) {
    egress.push(await download(bySession, site));
    direct.push(await download(directly, site));
  }
  const ratio = report('download by the egress', egress, 'MB/s') / report('download of a bare Firefox', direct, 'MB/s');
  console.log(`egress / direct: ${ratio.toFixed(2)}`);
  await bare.close();
  await server.end(session);
  await server.stop();
} finally {
  server.discard();
  await Promise.all([proxy.stop(), site.close()]);
}

#!/usr/bin/env node
/**
 * The driver: hosts Playwright servers for camofleet.
 *
 * One JSON object a line: commands on stdin, events on stdout, lines for people on stderr. It ends, with all
 * its browsers, when stdin ends: that is how it learns that camofleet is gone.
 */
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
// The order matters: stdout is secured and Node's functions are wrapped before any library sees them.
import { log, onOutputLost, send } from './lib/output.mjs';
import './lib/isolation.mjs';
import './lib/patterns.mjs';
import { describe } from './lib/errors.mjs';
import { Host } from './lib/host.mjs';

const host = new Host();

/** Ends all browsers and then the driver, without waiting for anything. */
function shutDown(reason) {
  const count = host.killAll();
  log(`${reason}: ended ${count} ${count === 1 ? 'browser' : 'browsers'}`);
  // Playwright would first remove every profile; camofleet sweeps them, and the end must not wait for a disk.
  process.removeAllListeners('exit');
  process.exit(0);
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => shutDown(signal));
onOutputLost(() => shutDown('nobody reads the events'));

// A crashed browser makes Playwright throw in places nobody can catch; the other browsers must live on.
process.on('uncaughtException', (error) => log(`went on after an uncaught error: ${error?.stack ?? describe(error)}`));
process.on('unhandledRejection', (error) => log(`went on after an unhandled rejection: ${error?.stack ?? describe(error)}`));

// A fingerprint in the driver's own environment would reach every Camoufox.
for (const name of Object.keys(process.env)) if (name.startsWith('CAMOU_CONFIG')) delete process.env[name];

send({
  type: 'hello',
  playwright: createRequire(import.meta.url)('playwright-core/package.json').version,
  node: process.versions.node,
  pid: process.pid,
});

createInterface({ input: process.stdin, crlfDelay: Infinity })
  .on('line', (line) => line.trim() && host.execute(line))
  .on('close', () => shutDown('stdin ended'));

#!/usr/bin/env node
/**
 * The driver: hosts Playwright servers for camofleet.
 *
 * Commands arrive on stdin and events leave on stdout, one JSON object per line; stderr is the log. The
 * driver exits, with all its browsers, when stdin is closed, which happens when camofleet exits.
 */
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
// The order matters: stdout is taken over and Node's functions are wrapped before any library is loaded.
import { log, onOutputLost, send } from './lib/output.mjs';
import './lib/isolation.mjs';
import './lib/egress.mjs';
import './lib/patterns.mjs';
import { describe } from './lib/errors.mjs';
import { Host } from './lib/host.mjs';

const host = new Host();

/** Kills all browsers and exits at once. */
function shutDown(reason) {
  const count = host.killAll();
  log(`${reason}: ended ${count} ${count === 1 ? 'browser' : 'browsers'}`);
  // Playwright would first remove every profile; camofleet does that later, so the exit need not wait for the
  // disk.
  process.removeAllListeners('exit');
  process.exit(0);
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => shutDown(signal));
onOutputLost(() => shutDown('nobody reads the events'));

// After a browser crash Playwright throws where nobody can catch it; the other browsers must continue.
process.on('uncaughtException', (error) => log(`continued after an uncaught error: ${error?.stack ?? describe(error)}`));
process.on('unhandledRejection', (error) => log(`continued after an unhandled rejection: ${error?.stack ?? describe(error)}`));

// A fingerprint in the driver's own environment would be inherited by every Camoufox.
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

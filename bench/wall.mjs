// Measures the cost of the wall: twelve sessions with a live view, whose pages change twice a second, without
// a viewer, as screenshots on the wall, and with four of them live. Nothing else should run meanwhile. `node
// bench/wall.mjs [sessions] [seconds]`, after `make build` and `make setup-tests`.
import fs from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { helpers } from './helper.mjs';

const { startChromium, xServers, Server, Site, until } = await helpers('chromium.mjs', 'processes.mjs', 'server.mjs', 'site.mjs', 'wait.mjs');
const [sessions = 12, seconds = 20] = process.argv.slice(2).map(Number);
/** The wall's maximum of live tiles. */
const LIVE = 4;
/** How long browsers and pages are busy after their start, in milliseconds. */
const SETTLE = 8000;
const TICKS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
/** A busy page: twice a second it adds a line and changes the colour of half of itself. */
const PAGE = `<!doctype html><title>busy</title><body style="font:24px sans-serif"><div id="half" style="height:50vh"></div><p id="line"></p><script>
  let count = 0;
  setInterval(() => {
    count += 1;
    document.getElementById('half').style.background = 'hsl(' + (count * 47) % 360 + ' 70% 50%)';
    document.getElementById('line').textContent = 'change ' + count;
  }, 500);
</script>`;

/** The fields of /proc/<pid>/stat after the name: the first is the state. */
function stat(pid) {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

/** The CPU seconds of a process so far; 0 if it no longer exists. */
function computed(pid) {
  const fields = stat(pid);
  return fields ? (Number(fields[11]) + Number(fields[12])) / TICKS : 0;
}

/** The processes of the Chromium started here. */
function chromiumProcesses() {
  const parents = new Map();
  for (const pid of fs.readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const fields = stat(pid);
    if (fields) parents.set(Number(pid), Number(fields[1]));
  }
  const isChromium = (pid) => path.basename(fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]).startsWith('chrom');
  const family = [...parents].filter(([pid, parent]) => parent === process.pid && isChromium(pid)).map(([pid]) => pid);
  for (const pid of family) family.push(...[...parents].filter(([, parent]) => parent === pid).map(([child]) => child));
  return family;
}

/** Sums the CPU seconds of some processes. */
const sum = (pids) => pids.reduce((total, pid) => total + computed(pid), 0);

async function measure(name, server, traffic) {
  await sleep(SETTLE);
  const pids = { camofleet: [server.pid], Xvnc: xServers(server.runBase).map(({ pid }) => pid), Chromium: chromiumProcesses() };
  const look = () => Object.entries(pids).map(([kind, list]) => [kind, sum(list)]);
  const [before, past, started] = [look(), { ...traffic }, performance.now()];
  await sleep(seconds * 1000);
  const took = (performance.now() - started) / 1000;
  const after = new Map(look());
  const cores = before.map(([kind, was]) => `${kind} ${(((after.get(kind) - was) / took) * 100).toFixed(1)} %`);
  const rate = (what) => (traffic[what] - past[what]) / took;
  const pictures = `${rate('pictures').toFixed(1)} pictures and ${rate('same').toFixed(1)} “the same” a second`;
  console.log(`${name}: of a core ${cores.join(', ')}; ${(rate('bytes') / 1000).toFixed(1)} kB/s, ${pictures}`);
}

/** Counts a page's incoming bytes: responses and WebSocket frames. */
async function count(page, traffic) {
  const client = await page.context().newCDPSession(page);
  await client.send('Network.enable');
  client.on('Network.responseReceived', ({ response }) => {
    if (response.url.includes('/screenshot')) traffic[response.status === 304 ? 'same' : 'pictures'] += 1;
  });
  client.on('Network.dataReceived', ({ encodedDataLength }) => (traffic.bytes += encodedDataLength));
  // Binary frames are base64.
  client.on('Network.webSocketFrameReceived', ({ response }) => (traffic.bytes += (response.payloadData.length * 3) / 4));
}

const site = await Site.open({ '/': PAGE });
const server = await Server.start({ RUNNER_VNC_RESOLUTION: '1280x720x24' }, { slots: sessions });
const chromium = await startChromium();
try {
  for (let made = 0; made < sessions; made += 1) await server.create({ vnc: true, start_url: site.url, idle_ttl_seconds: 3600 });
  const traffic = { bytes: 0, pictures: 0, same: 0 };
  const page = await chromium.newPage({ viewport: { width: 1440, height: 1080 } });
  await measure(`${sessions} sessions, nobody looks`, server, traffic);
  await count(page, traffic);
  await page.addInitScript(() => localStorage.setItem('camofleet.wall.tiles', '12'));
  await page.goto(`${server.url}/#/wall`);
  await until(async () => (await page.getByRole('article').getByRole('img').count()) === Math.min(sessions, 12), 'all pictures');
  await measure('the wall, pictures', server, traffic);
  for (let tile = 0; tile < LIVE; tile += 1) await page.getByRole('button', { name: /^Watch/ }).nth(tile).click();
  await until(async () => (await page.locator('.tile [data-state="connected"]').count()) === LIVE, 'the live tiles');
  await measure(`the wall, ${LIVE} tiles of it live`, server, traffic);
} finally {
  await chromium.close();
  await server.stop();
  await site.close();
}

/** A site that finds out what pages learn of a browser: in a window, a frame, workers, and by the headers of requests. */
import { once } from 'node:events';
import http from 'node:http';

/** What a script learns anywhere; workers have no screen. */
const LOOK = `(() => ({
  languages: [...navigator.languages],
  language: navigator.language,
  intl: Intl.DateTimeFormat().resolvedOptions().locale,
  number: (1234.5).toLocaleString(),
  timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  offset: -new Date(Date.UTC(2026, 0, 15)).getTimezoneOffset() / 60,
  agent: navigator.userAgent,
  platform: navigator.platform,
  cores: navigator.hardwareConcurrency,
  ...(typeof screen === 'undefined' ? {} : { screen: [screen.width, screen.height], window: [outerWidth, outerHeight] }),
}))()`;

const PAGE = `<!doctype html><meta charset="utf-8"><title>who is it?</title><script>
window.look = () => ${LOOK};
const heard = (target) => new Promise((resolve) => target.addEventListener('message', (event) => resolve(event.data), { once: true }));
const frame = () => new Promise((resolve) => {
  const element = document.createElement('iframe');
  element.src = '/frame';
  element.onload = () => resolve(element.contentWindow.look());
  document.body.append(element);
});
const shared = () => { const worker = new SharedWorker('/shared.js'); worker.port.start(); return heard(worker.port); };
const service = async () => {
  await navigator.serviceWorker.register('/service.js');
  const { active } = await navigator.serviceWorker.ready;
  const channel = new MessageChannel();
  channel.port1.start();
  active.postMessage('look', [channel.port2]);
  return heard(channel.port1);
};
const place = () => new Promise((resolve) => navigator.geolocation.getCurrentPosition(
  ({ coords }) => resolve([coords.latitude, coords.longitude, coords.accuracy]), (error) => resolve(error.message), { timeout: 5000 }));
window.investigate = async () => ({
  seen: { page: look(), frame: await frame(), worker: await heard(new Worker('/worker.js')), shared: await shared(), service: await service() },
  header: await (await fetch('/header')).text(),
  permission: (await navigator.permissions.query({ name: 'geolocation' })).state,
  inner: [innerWidth, innerHeight],
});
window.place = place;
</script>`;

const SCRIPTS = {
  '/worker.js': `postMessage(${LOOK})`,
  '/shared.js': `onconnect = ({ ports }) => ports[0].postMessage(${LOOK})`,
  '/service.js': `onmessage = ({ ports }) => ports[0].postMessage(${LOOK})`,
};

/**
 * Opens the site on a free port of loopback.
 *
 * @returns {Promise<{url: string, port: number, close: () => Promise<void>}>} its address, by a name that counts as secure
 */
export async function openDetective() {
  const server = http.createServer((request, response) => {
    const script = SCRIPTS[request.url];
    response.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html; charset=utf-8', 'cache-control': 'no-store' });
    if (request.url === '/header') response.end(request.headers['accept-language']);
    else if (request.url === '/ip') response.end(request.socket.remoteAddress);
    else response.end(script ?? PAGE);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  return {
    url: `http://localhost:${port}`,
    port,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

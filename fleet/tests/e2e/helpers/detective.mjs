/**
 * A site that finds out what pages learn of a browser, as the known testers of browsers do: in a window, a frame, each kind of
 * worker, and by the headers of every kind of request.
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';

/** What a script learns anywhere; workers have no screen, and only windows say whether they are controlled. */
const LOOK = `(() => ({
  languages: [...navigator.languages],
  language: navigator.language,
  intl: Intl.DateTimeFormat().resolvedOptions().locale,
  collation: new Intl.Collator().resolvedOptions().locale,
  number: (1234.5).toLocaleString(),
  day: new Date(Date.UTC(2026, 0, 15, 12)).toLocaleDateString(undefined, { weekday: 'long' }),
  timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
  offset: -new Date(Date.UTC(2026, 0, 15)).getTimezoneOffset() / 60,
  summer: -new Date(Date.UTC(2026, 6, 15)).getTimezoneOffset() / 60,
  clock: String(new Date(Date.UTC(2026, 6, 15))),
  agent: navigator.userAgent,
  version: navigator.appVersion,
  platform: navigator.platform,
  cores: navigator.hardwareConcurrency,
  ...(typeof document === 'undefined' ? {} : {
    webdriver: navigator.webdriver,
    oscpu: navigator.oscpu,
    vendor: navigator.vendor,
    touch: navigator.maxTouchPoints,
    plugins: navigator.plugins.length,
    screen: [screen.width, screen.height],
    available: [screen.availLeft, screen.availTop, screen.availWidth, screen.availHeight],
    depth: [screen.colorDepth, screen.pixelDepth, devicePixelRatio],
    window: [outerWidth, outerHeight],
    media: matchMedia('(device-width: ' + screen.width + 'px) and (device-height: ' + screen.height + 'px)').matches,
    webrtc: typeof RTCPeerConnection,
  }),
}))()`;

/** What a window learns by asking and waiting. `STUN` is replaced by the port of a STUN server that counts what it gets. */
const ASK = `
const once = (target, ...kinds) => new Promise((resolve) => {
  for (const kind of kinds) target.addEventListener(kind, (event) => resolve(event), { once: true });
});
/** Waits for what is expected as long as a busy machine needs, and for what is not only a moment. */
const patience = (expected) => new Promise((end) => setTimeout(end, expected ? 20_000 : 500));
/** Whether an image is shown. */
window.image = async (name, expected) => {
  const image = new Image();
  const done = once(image, 'load', 'error');
  image.src = '/' + name + '.png';
  document.body.append(image);
  await Promise.race([done, patience(expected)]);
  return image.naturalWidth > 0;
};
/** The candidates that WebRTC finds until it has found all, or for half a second; null without WebRTC. */
window.candidates = async (expected) => {
  if (typeof RTCPeerConnection === 'undefined') return null;
  const found = [];
  let first;
  const any = new Promise((end) => (first = end));
  const peer = new RTCPeerConnection({ iceServers: [{ urls: 'stun:127.0.0.1:STUN' }] });
  peer.createDataChannel('a');
  peer.onicecandidate = ({ candidate }) => candidate && first(found.push(candidate.candidate));
  const complete = new Promise((end) => (peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && end()));
  await peer.setLocalDescription(await peer.createOffer());
  await Promise.all([Promise.race([complete, patience(false)]), expected && Promise.race([any, patience(true)])]);
  const described = peer.localDescription.sdp.match(/^a=candidate:.*$/gm) ?? [];
  peer.close();
  return [...found.filter(Boolean), ...described];
};
window.asked = async () => ({
  devices: (await navigator.mediaDevices.enumerateDevices()).map(({ kind, label }) => [kind, label]),
  notifications: [Notification.permission, (await navigator.permissions.query({ name: 'notifications' })).state],
  permission: (await navigator.permissions.query({ name: 'geolocation' })).state,
});
`;

const PAGE = `<!doctype html><meta charset="utf-8"><title>who is it?</title><link rel="stylesheet" href="/style.css"><body><script>
window.look = () => ${LOOK};
${ASK}
const heard = async (target) => (await once(target, 'message')).data;
const frame = async () => {
  const element = document.createElement('iframe');
  element.src = '/frame';
  const loaded = once(element, 'load');
  document.body.append(element);
  await loaded;
  return element.contentWindow;
};
const shared = () => { const worker = new SharedWorker('/shared.js'); worker.port.start(); return heard(worker.port); };
const service = async () => {
  await navigator.serviceWorker.register('/service.js');
  const { active } = await navigator.serviceWorker.ready;
  const channel = new MessageChannel();
  channel.port1.start();
  active.postMessage('look', [channel.port2]);
  return heard(channel.port1);
};
window.place = () => new Promise((resolve) => navigator.geolocation.getCurrentPosition(
  ({ coords }) => resolve([coords.latitude, coords.longitude, coords.accuracy]), (error) => resolve(error.message), { timeout: 20_000 }));
window.investigate = async (expected) => {
  const inner = await frame();
  const [shown, inFrame, candidates, framed] = await Promise.all([
    ...[window.image('pixel', expected.images), inner.image('framed', expected.images)],
    ...[window.candidates(expected.candidates), inner.candidates(expected.candidates)],
  ]);
  return {
    seen: {
      page: { ...look(), ...(await asked()), images: shown, candidates: candidates && candidates.length > 0 },
      frame: { ...inner.look(), ...(await inner.asked()), images: inFrame, candidates: framed && framed.length > 0 },
      worker: await heard(new Worker('/worker.js')),
      shared: await shared(),
      service: await service(),
    },
    addresses: [...(candidates ?? []), ...(framed ?? [])],
    inner: [innerWidth, innerHeight],
    ...(await (await fetch('/requests')).json()),
  };
};
</script>`;

const SCRIPTS = {
  '/worker.js': `postMessage(${LOOK})`,
  '/shared.js': `onconnect = ({ ports }) => ports[0].postMessage(${LOOK})`,
  '/service.js': `onmessage = ({ ports }) => ports[0].postMessage(${LOOK})`,
};

/** A white pixel. */
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mP8/x8AAwMCAO+ip1sAAAAASUVORK5CYII=', 'base64');

/** Opens a UDP port that counts what it gets. */
async function stunServer() {
  const socket = dgram.createSocket('udp4');
  const server = { packets: 0, close: () => socket.close() };
  socket.on('message', () => (server.packets += 1));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  server.port = socket.address().port;
  return server;
}

/**
 * Opens the site on free ports of loopback.
 *
 * @returns {Promise<{url: string, port: number, close: () => Promise<void>}>} its address, by a name that counts as secure
 */
export async function openDetective() {
  const stun = await stunServer();
  /** The headers of the requests since the page was opened, by path. */
  let requests = {};
  const page = PAGE.replaceAll('STUN', String(stun.port));
  const server = http.createServer((request, response) => {
    const { url, headers } = request;
    if (url === '/') {
      requests = {};
      stun.packets = 0;
    }
    requests[url] = { language: headers['accept-language'], agent: headers['user-agent'] };
    const answer = (kind, body) => response.writeHead(200, { 'content-type': kind, 'cache-control': 'no-store' }).end(body);
    if (url === '/requests') answer('application/json', JSON.stringify({ requests, udp: stun.packets }));
    else if (url === '/ip') answer('text/plain', request.socket.remoteAddress);
    else if (url === '/style.css') answer('text/css', 'html { background: url(/background.png) }');
    else if (url.endsWith('.png')) answer('image/png', PIXEL);
    else if (SCRIPTS[url]) answer('text/javascript', SCRIPTS[url]);
    else answer('text/html; charset=utf-8', page);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  return {
    url: `http://localhost:${port}/`,
    port,
    close: () => {
      stun.close();
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/**
 * What a browser's clients may have Playwright's server do. Its protocol is made for clients that own the machine: it starts
 * programs, opens servers, and reads and writes files by their paths. Clients here own a browser and nothing else. What
 * Playwright's own clients ask for over a network stays.
 */

/** The objects of the protocol that belong to a browser; others start programs or are for clients on the same machine. */
const OBJECTS = new Set([
  'Root',
  'Playwright',
  'Browser',
  'BrowserContext',
  'Page',
  'Frame',
  'Worker',
  'JSHandle',
  'ElementHandle',
  'Request',
  'Response',
  'Route',
  'WebSocket',
  'WebSocketRoute',
  'BindingCall',
  'Dialog',
  'Disposable',
  'Debugger',
  'Artifact',
  'Stream',
  'WritableStream',
  'Tracing',
  'APIRequestContext',
  'SocksSupport',
]);

/** What these objects do beyond their browser: each by its object and its method, with what to do instead. */
const METHODS = new Map([
  ['Artifact.saveAs', 'have it streamed'],
  ['Artifact.pathAfterFinished', 'have it streamed'],
  ['Browser.startServer', 'attach at the address of the session'],
  ['Browser.stopServer', 'end the session'],
  ['Browser.killForTests', 'end the session'],
  ['BrowserContext.enableRecorder', 'record with a browser of your own'],
]);

/** Parameters that name files of this machine, wherever they stand. */
const FILES_TO_READ = ['localPaths', 'localDirectory'];

/**
 * Checks what a client asks for, and takes out of it what would name a file of this machine without need.
 *
 * @param {string} type what kind of object is asked
 * @param {{method: string, params?: object}} message the client's message; its parameters may be changed
 * @returns {string|null} why it is refused, or null
 */
export function refusalOf(type, { method, params }) {
  const name = `${type}.${method}`;
  if (!OBJECTS.has(type)) return `${name} is not for clients of a session`;
  const instead = METHODS.get(name);
  if (instead) return `${name} is not for clients of a session: ${instead}`;
  if (!params) return null;
  const file = FILES_TO_READ.find((field) => params[field] !== undefined);
  if (file) return `${name}: no file of this machine is read ('${file}'); have it streamed`;
  // Clients name these for themselves; here every recording has a name of its own in the session's directory.
  if (type === 'Tracing' && (method === 'tracingStart' || method === 'tracingStartChunk')) delete params.name;
  if (params.recordVideo) delete params.recordVideo.dir;
  delete params.tracesDir;
  return null;
}

/**
 * Restricts what clients may ask of Playwright's server. Its protocol is made for clients that own the
 * machine: it starts programs, opens servers, and reads and writes files by path. A session's client owns
 * only a browser. What Playwright's own clients use over a network is allowed.
 */

/**
 * The protocol's objects that belong to a browser; others start programs or are for clients on the same
 * machine.
 */
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

/** Methods of these objects that reach beyond the browser, with the alternative. */
const METHODS = new Map([
  ['Artifact.saveAs', 'stream it instead'],
  ['Artifact.pathAfterFinished', 'stream it instead'],
  ['Browser.startServer', 'attach at the address of the session'],
  ['Browser.stopServer', 'end the session'],
  ['Browser.killForTests', 'end the session'],
  ['BrowserContext.enableRecorder', 'record with a browser of your own'],
]);

/** Parameters that name local files, at any depth. */
const FILES_TO_READ = ['localPaths', 'localDirectory'];

/**
 * Checks a client's command, and removes parameters that name local files without need.
 *
 * @param {string} type the type of the object that is called
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
  if (file) return `${name}: files of the server are not read ('${file}'); stream it instead`;
  // Clients choose these names; here every recording gets its own name in the session's directory.
  if (type === 'Tracing' && (method === 'tracingStart' || method === 'tracingStartChunk')) delete params.name;
  if (params.recordVideo) delete params.recordVideo.dir;
  delete params.tracesDir;
  return null;
}

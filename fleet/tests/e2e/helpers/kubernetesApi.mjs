/** A cluster's API server as discovery uses it: EndpointSlices, listed and watched, over HTTP. */
import { once } from 'node:events';
import http from 'node:http';

const PATH = '/apis/discovery.k8s.io/v1/namespaces/fleet/endpointslices';
const GONE = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason: 'Expired', message: 'too old resource version', code: 410 };

/** Serves one Service, `workers` in the namespace `fleet`, on loopback. */
export class KubernetesApi {
  #server = http.createServer((request, response) => this.#answer(new URL(request.url, 'http://api'), response));
  #version = 1;
  /** The slices by name, and their changes since the oldest remembered version. */
  #slices = new Map();
  #happened = [];
  #remembered = 1;
  #watches = new Set();
  /** How often each was requested. */
  asked = { list: 0, watch: 0 };

  /** Starts one without pods. */
  static async start() {
    const api = new KubernetesApi();
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  /** The discovery source for it. */
  get discovery() {
    return `kubernetes://workers.fleet?api=http://127.0.0.1:${this.#server.address().port}`;
  }

  #answer(url, response) {
    const selected = url.searchParams.get('labelSelector') === 'kubernetes.io/service-name=workers';
    if (url.pathname !== PATH || !selected) return response.writeHead(404).end();
    response.setHeader('content-type', 'application/json');
    if (url.searchParams.get('watch') !== 'true') {
      this.asked.list += 1;
      const items = [...this.#slices.values()];
      return response.end(JSON.stringify({ kind: 'EndpointSliceList', apiVersion: 'discovery.k8s.io/v1', metadata: { resourceVersion: `${this.#version}` }, items }));
    }
    this.asked.watch += 1;
    const since = Number(url.searchParams.get('resourceVersion'));
    response.flushHeaders();
    if (since < this.#remembered) return response.end(`${JSON.stringify({ type: 'ERROR', object: GONE })}\n`);
    for (const { version, line } of this.#happened) if (version > since) response.write(line);
    this.#watches.add(response);
    const ended = setTimeout(() => response.end(), 1000 * Number(url.searchParams.get('timeoutSeconds')));
    return response.once('close', () => {
      clearTimeout(ended);
      this.#watches.delete(response);
    });
  }

  /**
   * Sets the pods, with a slice for each: pods that listen on different ports are in different slices.
   *
   * @param {Record<string, {url: string, state: 'starting'|'ready'|'terminating'}>} pods by name
   */
  set(pods) {
    for (const name of this.#slices.keys()) {
      if (!pods[name]) this.#happen('DELETED', this.#slice(name, this.#slices.get(name).endpoints, this.#slices.get(name).ports));
    }
    for (const [name, { url, state }] of Object.entries(pods)) {
      const { hostname, port } = new URL(url);
      const conditions = { ready: true, serving: state !== 'starting', terminating: state === 'terminating' };
      const endpoints = [{ addresses: [hostname], conditions, targetRef: { kind: 'Pod', name, namespace: 'fleet' } }];
      const before = this.#slices.get(name);
      if (JSON.stringify(before?.endpoints) === JSON.stringify(endpoints)) continue;
      this.#happen(before ? 'MODIFIED' : 'ADDED', this.#slice(name, endpoints, [{ name: 'http', port: Number(port), protocol: 'TCP' }]));
    }
  }

  #slice(name, endpoints, ports) {
    this.#version += 1;
    const metadata = { name, namespace: 'fleet', resourceVersion: `${this.#version}` };
    return { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', metadata, addressType: 'IPv4', endpoints, ports };
  }

  #happen(type, slice) {
    if (type === 'DELETED') this.#slices.delete(slice.metadata.name);
    else this.#slices.set(slice.metadata.name, slice);
    const line = `${JSON.stringify({ type, object: slice })}\n`;
    this.#happened.push({ version: this.#version, line });
    for (const watch of this.#watches) watch.write(line);
  }

  /** Breaks all connections, as a replaced API server does. */
  cut() {
    this.#server.closeAllConnections();
  }

  /** Forgets all changes, so that watchers have to list again. */
  forget() {
    this.#happened = [];
    this.#version += 1;
    this.#remembered = this.#version;
  }

  /** Stops it. */
  close() {
    this.cut();
    this.#server.close();
  }
}

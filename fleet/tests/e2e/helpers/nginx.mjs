/** A real nginx with the configuration that camofleet ships for its panel. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from './camofleet.mjs';
import { UNPACKED } from './unpacked.mjs';
import { freePort } from './ports.mjs';
import { until } from './wait.mjs';

const REPOSITORY = fileURLToPath(new URL('../../../../', import.meta.url));
const TEMPLATE = path.join(REPOSITORY, 'deploy/nginx/panel.conf.template');
const PROGRAM = process.env.TEST_NGINX ?? path.join(UNPACKED, 'usr/sbin/nginx');
const PATIENCE_MS = 10_000;

/** nginx with the panel, and with an ingress in front of it that strips a path prefix. */
export class PanelNginx {
  #child;
  #directory;

  /**
   * Starts it and waits until it answers.
   *
   * @param {{url: string}} server the camofleet that it forwards the API and live views to
   * @returns {Promise<PanelNginx>} the running nginx
   */
  static async start({ url }) {
    const nginx = new PanelNginx();
    const [port, ingressPort] = [await freePort(), await freePort()];
    nginx.url = `http://127.0.0.1:${port}`;
    nginx.prefixedUrl = `http://127.0.0.1:${ingressPort}/tools/fleet/`;
    const values = {
      PANEL_LISTEN: `127.0.0.1:${port}`,
      PANEL_ROOT: path.join(REPOSITORY, 'frontend/dist'),
      CONTROL_URL: url,
      GATEWAY_URL: url,
      // Never used: all its upstreams are IP addresses.
      NGINX_LOCAL_RESOLVERS: '127.0.0.1',
    };
    const panel = fs.readFileSync(TEMPLATE, 'utf8').replace(/\$\{(\w+)\}/g, (_, name) => values[name]);
    const ingress = `server {
      listen 127.0.0.1:${ingressPort};
      location /tools/fleet/ {
        proxy_pass ${nginx.url}/;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $panel_connection;
        proxy_buffering off;
      }
    }`;
    nginx.#directory = temporaryDirectory();
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${kind};`);
    const mimeTypes = path.join(path.dirname(PROGRAM), '../../etc/nginx/mime.types');
    const file = path.join(nginx.#directory, 'nginx.conf');
    fs.writeFileSync(
      file,
      `daemon off; pid nginx.pid; events {} http { access_log off; include ${mimeTypes}; ${temporary.join(' ')} ${panel} ${ingress} }`,
    );
    await nginx.#run(file);
    return nginx;
  }

  async #run(file) {
    this.#child = spawn(PROGRAM, ['-p', this.#directory, '-c', file, '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    this.#child.stderr.on('data', (text) => (said += text));
    this.#child.once('error', (error) => (said += error));
    this.exited = once(this.#child, 'exit').catch(() => {});
    process.once('exit', () => this.#child.kill());
    const answers = () => fetch(this.url).then(({ ok }) => ok, () => false);
    await until(answers, 'nginx to answer', PATIENCE_MS).catch((error) => {
      throw new Error(`${error.message}; it said: ${said}`, { cause: error });
    });
  }

  /** Stops it and removes its directory. */
  async stop() {
    this.#child.kill();
    await this.exited;
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A fleet with something to see on every page of the panel. */
import { startChromium } from './chromium.mjs';
import { Original } from './originals.mjs';
import { startControl } from './roles.mjs';
import { Server } from './server.mjs';
import { Site } from './site.mjs';
import { until } from './wait.mjs';

/** The colour of the start page where `showsColour` checks. */
export const COLOUR = [15, 92, 99];
const TOKEN = 'showcase';

/** A start page with visible content. */
const START_PAGE = `<!doctype html>
<html lang="en">
<title>Harbour – timetable</title>
<style>
  * { box-sizing: border-box; margin: 0 }
  body { display: grid; grid-template-columns: 1fr 1fr; height: 100vh; font: 18px/1.5 "Liberation Sans", sans-serif; color: #12303a; background: #f6f3ea }
  .hero { display: flex; flex-direction: column; justify-content: space-between; padding: 48px; color: #f6f3ea; background: rgb(${COLOUR}) }
  h1 { font-size: 52px; line-height: 1.1 }
  .hero b { padding: 12px 24px; align-self: start; border-radius: 999px; color: #12303a; background: #ffc857 }
  .times { padding: 48px; align-content: center; display: grid; gap: 14px }
  .times div { display: flex; justify-content: space-between; padding: 16px 20px; border-radius: 12px; background: #fff }
  .times i { font-style: normal; color: #0f5c63; font-weight: bold }
</style>
<section class="hero"><h1>Ferries from the old harbour</h1><b>Plan a crossing</b></section>
<section class="times">
  <div>Lighthouse Island <i>09:15</i></div>
  <div>Seal Bay <i>09:40</i></div>
  <div>North Quay <i>10:05</i></div>
  <div>Pine Beach <i>10:30</i></div>
  <div>Lighthouse Island <i>11:15</i></div>
</section>`;

/** Sessions in states that real ones pass through too quickly to be seen. */
const BUSY = [
  { status: 'INIT', labels: { team: 'search' } },
  { status: 'READY', labels: { team: 'shop', run: 'nightly-4711' } },
  { status: 'TERMINATING', labels: { team: 'qa' } },
];

/** Profiles that nobody uses. */
const PROFILES = [
  {
    name: 'anna',
    locale: ['de-AT', 'de'],
    timezone: 'Europe/Vienna',
    screen: { width: 1366, height: 768 },
    proxy: 'socks5://proxy.example:1080',
    labels: { team: 'shop', run: 'nightly-4711' },
    notes: 'Buys shoes on Fridays',
  },
  { name: 'taro', locale: 'ja-JP', timezone: 'Asia/Tokyo', labels: { team: 'search' } },
];

/** Real sessions, an empty fleet with a token, an open one, and a fleet of stand-ins with problems. */
export class Showcase {
  /** Starts all of it. */
  static async start() {
    const showcase = new Showcase();
    try {
      await Promise.all([showcase.#startServer(), showcase.#startGuarded(), showcase.#startOpen(), showcase.#startTroubled()]);
      showcase.chromium = await startChromium();
    } catch (error) {
      await showcase.stop();
      throw error;
    }
    return showcase;
  }

  async #startServer() {
    this.site = await Site.open({ '/': START_PAGE });
    this.server = await Server.start();
    const shop = { vnc: true, start_url: this.site.url, labels: { team: 'shop', run: 'nightly-4711' }, idle_ttl_seconds: 1800 };
    const doomed = await this.server.createKnown({ headless: true, on_crash: 'end', labels: { team: 'search' } });
    process.kill(doomed.browser.pid, 'SIGKILL');
    await this.server.ended(doomed.session);
    const [watched, done] = await Promise.all([
      this.server.create(shop),
      this.server.create({ headless: true, labels: { team: 'qa', run: 'smoke' } }),
      this.server.create({ headless: true, labels: { team: 'search' }, idle_ttl_seconds: 600 }),
      this.server.create({ headless: true, labels: { team: 'search' }, start_url: 'http://127.0.0.1:9/' }),
      this.server.create({ vnc: true, labels: { team: 'qa' }, start_url: this.site.url }),
    ]);
    await this.server.end(done);
    for (const body of PROFILES) await this.server.request('POST', '/profiles', { body });
    /** A session with a live view. */
    this.watched = watched;
    /** A session that has ended. */
    this.ended = await this.server.ended(doomed.session);
  }

  async #startGuarded() {
    /** An empty fleet that requires `TOKEN`. */
    this.guarded = await Server.start({ CONTROL_API_TOKEN: TOKEN }, { healthy: false });
  }

  async #startOpen() {
    /** An empty fleet that anyone who reaches this machine can control. */
    this.open = await Server.start({ CONTROL_HOST: '0.0.0.0' }, { healthy: false });
  }

  async #startTroubled() {
    const [busy, silent] = await Promise.all([Original.start('worker'), Original.start('worker')]);
    this.originals = [busy, silent];
    for (const session of BUSY) busy.has(session);
    silent.has({ labels: { team: 'shop' } });
    /** A fleet with sessions in every state, and a worker that stopped answering. */
    this.troubled = await startControl([
      { name: 'berlin', url: busy.url },
      { name: 'lisbon', url: silent.url },
    ]);
    await until(async () => (await this.troubled.sessions()).length === BUSY.length + 1, 'all sessions to be seen');
    silent.close();
    await until(async () => (await this.troubled.sessions()).some(({ stale }) => stale), 'a worker to be missed');
  }

  /**
   * Opens a page in a new context, which collects console errors in `complaints`.
   *
   * @param {{theme?: 'light'|'dark', locale?: string}} how the browser's preferences
   */
  async newPage({ theme = 'light', locale = 'en-US' } = {}) {
    const context = await this.chromium.newContext({ colorScheme: theme, locale, reducedMotion: 'reduce', viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.complaints = [];
    page.on('pageerror', (error) => page.complaints.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
    return page;
  }

  /** Gives a page the token of the guarded fleet. */
  signIn(page) {
    return page.addInitScript((token) => sessionStorage.setItem('camofleet.token', token), TOKEN);
  }

  /** Stops all of it. */
  async stop() {
    await this.chromium?.close();
    for (const camofleet of [this.troubled, this.open, this.guarded, this.server]) await camofleet?.stop();
    for (const original of this.originals ?? []) original.close();
    await this.site?.close();
  }
}

/** A profile whose disk is full: its session ends with the reason, and the profile is as it was. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { temporaryDirectory } from './helpers/camofleet.mjs';
import { memoryOf, openMemorySite, recall, remember } from './helpers/memorySite.mjs';
import { attach } from './helpers/playwright.mjs';
import { Server, test } from './helpers/server.mjs';
import { until } from './helpers/wait.mjs';

/**
 * Gives camofleet a small disk for its profiles, which only it and its browsers see. While the file `full` exists beside
 * it, nothing can be written there any more.
 */
const SMALL_DISK = `
mount -t tmpfs -o size=160m small "$1/disk"
(
  while sleep 0.1; do
    if [ -e "$1/full" ]; then [ -e "$1/disk/filler" ] || { cat /dev/zero >"$1/disk/filler"; touch "$1/filled"; }
    else rm -f "$1/disk/filler"; touch "$1/free"; fi 2>/dev/null
    [ -e "$1/disk" ] && kill -0 $$ || exit
  done
) &
shift
exec "$@"`;

test('a full disk ends a session with a profile, and takes nothing from the profile', async () => {
  const site = await openMemorySite();
  const place = temporaryDirectory();
  fs.mkdirSync(path.join(place, 'disk'));
  const wrapper = ['unshare', '--map-root-user', '--mount', '--', 'sh', '-c', SMALL_DISK, 'sh', place];
  const server = await Server.start({ RUNNER_PROFILES_DIR: path.join(place, 'disk', 'profiles') }, { wrapper });
  try {
    const open = async () => {
      const session = await server.create({ headless: true, profile: 'anna' });
      const client = await attach(server, session);
      return { session, client, context: client.contexts()[0] };
    };
    const first = await open();
    await remember(first.context, site, 'kept');
    await first.client.close();
    await server.end(first.session);

    const second = await open();
    fs.writeFileSync(path.join(place, 'full'), '');
    await until(() => fs.existsSync(path.join(place, 'filled')), 'the disk to be full');
    await remember(second.context, site, 'too late').catch(() => {});
    const ended = await server.ended(second.session, 30_000);
    assert.equal(ended.end_reason, 'disk_full', ended.end_detail);
    assert.match(ended.end_detail, /the disk of its profile has only \d+ MB left/);
    assert.equal((await server.read('/profiles/anna')).used_by, null);

    fs.rmSync(path.join(place, 'full'));
    fs.rmSync(path.join(place, 'free'), { force: true });
    await until(() => fs.existsSync(path.join(place, 'free')), 'the disk to have space again');
    const third = await open();
    const memory = await recall(third.context, site);
    assert.equal(memory.cookie, 'kept', JSON.stringify(memory));
    assert.deepEqual(memory, memoryOf('kept'));
    await third.client.close();
    await server.end(third.session);
    await server.stop();
  } finally {
    server.discard();
    await site.close();
    fs.rmSync(place, { recursive: true, force: true });
  }
});

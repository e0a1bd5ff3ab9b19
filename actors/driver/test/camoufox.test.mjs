import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { withDriver, writeExecutable } from './harness.mjs';

const installed = (() => {
  try {
    return Boolean(createRequire(import.meta.url).resolve('better-sqlite3'));
  } catch {
    return false;
  }
})();
const skip = installed ? false : 'camoufox-js is not installed (its native module did not build)';

/** The properties that `camoufox-js` sets, and the two seeds that only Camoufox 2 has. */
const PROPERTIES = {
  str: 'navigator.userAgent navigator.doNotTrack navigator.appCodeName navigator.appName navigator.appVersion navigator.oscpu navigator.platform navigator.product headers.Accept-Encoding webGl:renderer webGl:vendor',
  uint: 'navigator.hardwareConcurrency navigator.maxTouchPoints screen.availHeight screen.availWidth screen.availTop screen.availLeft screen.height screen.width screen.colorDepth screen.pixelDepth window.outerHeight window.outerWidth window.innerHeight window.innerWidth window.history.length fonts:spacing_seed audio:seed',
  int: 'window.screenX window.screenY canvas:aaOffset',
  double: 'screen.pageXOffset screen.pageYOffset battery:chargingTime battery:dischargingTime',
  bool: 'navigator.globalPrivacyControl battery:charging webGl:parameters:blockIfNotDefined webGl2:parameters:blockIfNotDefined webGl:shaderPrecisionFormats:blockIfNotDefined webGl2:shaderPrecisionFormats:blockIfNotDefined canvas:aaCapOffset',
  array: 'fonts webGl:supportedExtensions webGl2:supportedExtensions',
  dict: 'webGl:parameters webGl2:parameters webGl:shaderPrecisionFormats webGl2:shaderPrecisionFormats webGl:contextAttributes webGl2:contextAttributes',
};

/**
 * Writes a stand-in Camoufox that records its arguments and environment and Playwright's first message (the
 * preferences), prints an error, and exits.
 */
function standIn(directory) {
  const install = path.join(directory, 'install');
  const record = path.join(directory, 'record.json');
  const executable = writeExecutable(
    path.join(install, 'camoufox-bin'),
    `#!${process.execPath}
const fs = require('fs');
console.log('Juggler listening to the pipe');
const chunk = Buffer.alloc(1 << 20);
const said = chunk.toString('utf8', 0, fs.readSync(3, chunk)).split('\\0')[0];
const profile = process.argv[process.argv.indexOf('-profile') + 1];
const windows = JSON.parse(fs.readFileSync(profile + '/xulstore.json'))['chrome://browser/content/browser.xhtml'];
fs.writeFileSync(${JSON.stringify(record)}, JSON.stringify({ env: process.env, windows, said: JSON.parse(said) }));
console.error('Error: cannot open display: :99');
process.exit(1);
`,
  );
  const properties = Object.entries(PROPERTIES).flatMap(([type, names]) => names.split(' ').map((property) => ({ property, type })));
  fs.writeFileSync(path.join(install, 'properties.json'), JSON.stringify(properties));
  fs.writeFileSync(path.join(install, 'version.json'), JSON.stringify({ version: '142.0.1', release: 'beta.30' }));
  for (const system of ['lin', 'mac', 'win']) fs.mkdirSync(path.join(install, 'fontconfig', system), { recursive: true });
  return { executable, install, recorded: () => JSON.parse(fs.readFileSync(record, 'utf8')) };
}

/** Joins the fingerprint of an environment, as Camoufox does. */
function fingerprint(env) {
  const names = Object.keys(env).filter((name) => name.startsWith('CAMOU_CONFIG')).sort();
  for (const name of names) assert.ok(env[name].length <= 32_767, `${name} is ${env[name].length} characters long`);
  return { names, config: JSON.parse(names.map((name) => env[name]).join('')) };
}

const INHERITED = { CAMOU_CONFIG_9: '{"driver":1}', CAMOU_CONFIG: 'x' };

test('starts Camoufox with its own fingerprint that fits the display', { skip }, withDriver(async (driver) => {
  const { executable, install, recorded } = standIn(driver.directory);
  const env = { PATH: process.env.PATH, HOME: driver.directory, DISPLAY: ':99', CAMOU_CONFIG_9: '{"launch":1}', OWN: 'kept' };
  const options = { engine: 'camoufox', executable, headless: false, env, preferences: { 'camofleet.test': 7 }, window: { width: 1920, height: 1080 } };
  driver.launch('a', options);
  const { error } = await driver.event('launch_failed', { id: 'a' });
  assert.match(error, /camoufox-bin ended with exit status 1 before it was ready; it printed: .*cannot open display: :99; launch it headless, or set DISPLAY/);

  const record = recorded();
  const { names, config } = fingerprint(record.env);
  assert.equal(names[0], 'CAMOU_CONFIG_1');
  assert.equal(names.includes('CAMOU_CONFIG_9'), false, 'an inherited fingerprint is scrubbed');
  assert.match(config['navigator.userAgent'], /Firefox\/142\.0$/);
  const size = (prefix) => [config[`${prefix}Width`] ?? config[`${prefix}width`], config[`${prefix}Height`] ?? config[`${prefix}height`]];
  for (const prefix of ['screen.', 'screen.avail', 'window.outer']) assert.deepEqual(size(prefix), [1920, 1080], prefix);
  assert.ok(config['audio:seed'] > 0);
  assert.equal('canvas:seed' in config, false, 'a property that this Camoufox does not know is left out');
  assert.deepEqual(record.windows['main-window'], { screenX: '0', screenY: '0', width: '1920', height: '1080', sizemode: 'normal' });
  assert.equal(record.env.OWN, 'kept');
  assert.equal(record.env.TMPDIR, path.join(driver.directoryOf('a'), 'tmp'));
  assert.equal(path.dirname(record.env.FONTCONFIG_PATH), path.join(install, 'fontconfig'));
  const preferences = Object.fromEntries(record.said.params.userPrefs.map(({ name, value }) => [name, value]));
  assert.equal(preferences['camofleet.test'], 7);
  assert.equal(preferences['media.peerconnection.enabled'], false);

  driver.launch('b', { ...options, headless: true, window: { width: 1601, height: 907 } });
  await driver.event('launch_failed', { id: 'b' });
  const other = fingerprint(recorded().env).config;
  assert.deepEqual([other['screen.width'], other['window.outerHeight']], [1601, 907], 'also on a display of an odd size');
  assert.notDeepEqual(other, config);
  assert.equal(driver.stderr.includes('fetch'), false, 'nothing is downloaded');
  assert.deepEqual(fs.readdirSync(driver.systemTmp), []);
}, INHERITED));

test('reports what a broken Camoufox installation lacks', { skip }, withDriver(async (driver) => {
  const { executable, install } = standIn(driver.directory);
  const error = async (id) => {
    driver.launch(id, { engine: 'camoufox', executable });
    return (await driver.event('launch_failed', { id })).error;
  };
  fs.writeFileSync(path.join(install, 'properties.json'), '[{"property":"debug","type":"bool"}]');
  assert.match(await error('strange'), /Unknown property .*do not fit together/);
  fs.rmSync(path.join(install, 'version.json'));
  assert.match(await error('no-version'), /version\.json can't be read .*give the version/);
  fs.rmSync(path.join(install, 'properties.json'));
  assert.match(await error('no-properties'), /properties\.json can't be read .* this Camoufox install is incomplete/);
}));

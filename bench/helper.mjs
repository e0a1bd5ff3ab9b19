/** Shared by the measurements: the helpers of the end-to-end tests, and a clear message if they are missing. */
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
const BINARY = process.env.CAMOFLEET_BIN ?? `${REPOSITORY}target/release/camofleet`;

function giveUp(text) {
  console.error(text);
  process.exit(1);
}

/**
 * Imports helpers of the end-to-end tests. They use npm packages that `make build` does not install: if one
 * of those, or the binary, is missing, this prints what to run and ends the process.
 *
 * @param {string[]} names their file names
 * @returns {Promise<object>} all their exports
 */
export async function helpers(...names) {
  if (!fs.existsSync(BINARY)) giveUp(`${BINARY} is missing: run \`make build\` first, or name the binary in CAMOFLEET_BIN`);
  try {
    const modules = await Promise.all(names.map((name) => import(`../fleet/tests/e2e/helpers/${name}`)));
    return Object.assign({}, ...modules);
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return giveUp(`${error.message.split(' imported from ')[0]}: run \`make setup-tests\` first, which installs what the tests need`);
  }
}

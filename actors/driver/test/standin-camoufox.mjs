/**
 * Stands in for Camoufox' executable: `standin-camoufox.mjs DIRECTORY [arguments of Camoufox]`. It writes what it was started with
 * to `DIRECTORY/<pid>.json`, answers Juggler's commands without doing them, and ends when Playwright closes its pipe.
 */
import fs from 'node:fs';

/** Playwright's pipes. */
const COMMANDS = 3;
const ANSWERS = 4;

const [directory, ...args] = process.argv.slice(2);
const profile = args[args.findIndex((argument) => /^--?profile$/.test(argument)) + 1];
const answers = {
  'Browser.getInfo': { userAgent: 'Mozilla/5.0 (stand-in)', version: 'Camoufox/156.0.1' },
};

/** Records the first command, which has the preferences, and everything else that Camoufox would see. */
function record(command) {
  const store = JSON.parse(fs.readFileSync(`${profile}/xulstore.json`, 'utf8'));
  const window = store['chrome://browser/content/browser.xhtml']['main-window'];
  const fonts = fs.readFileSync(process.env.FONTCONFIG_FILE, 'utf8');
  const file = `${directory}/${process.pid}.json`;
  fs.writeFileSync(`${file}.new`, JSON.stringify({ env: process.env, args, window, fonts, command }));
  fs.renameSync(`${file}.new`, file);
}

console.log('Juggler listening to the pipe');
let buffered = '';
let recorded = false;
fs.createReadStream(null, { fd: COMMANDS, encoding: 'utf8' })
  .on('data', (chunk) => {
    const messages = (buffered + chunk).split('\0');
    buffered = messages.pop();
    for (const message of messages) {
      const { id, method, params } = JSON.parse(message);
      if (!recorded) record({ method, params });
      recorded = true;
      fs.writeSync(ANSWERS, `${JSON.stringify({ id, result: answers[method] ?? {} })}\0`);
      if (method === 'Browser.close') process.exit();
    }
  })
  .on('close', () => process.exit());

/** What the pages state twice, or what another file decides, is the same everywhere. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';

const read = (name) => fs.readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const LANGUAGES = [
  { readme: 'README.md', pages: 'docs' },
  { readme: 'README.ru.md', pages: 'docs/ru' },
];
const { schemas } = JSON.parse(read('frontend/openapi.json')).components;

/** The names of an object's fields, those of its parts included. */
function fieldsOf({ $ref, allOf = [], properties = {} }) {
  if ($ref) return fieldsOf(schemas[$ref.split('/').at(-1)]);
  return [...allOf.flatMap(fieldsOf), ...Object.keys(properties)].sort();
}

for (const { readme, pages } of LANGUAGES) {
  test(`the script in ${readme} is that of ${pages}/getting-started.md`, () => {
    const script = /```sh\nNODE_PATH=.*?```/s;
    assert.equal(read(readme).match(script)[0], read(`${pages}/getting-started.md`).match(script)[0]);
  });

  test(`${readme} has less than 200 lines`, () => {
    assert.ok(read(readme).split('\n').length < 200);
  });

  test(`the fields of a create request in ${pages}/sessions.md are those of the API`, () => {
    const [table] = read(`${pages}/sessions.md`).match(/^\| `headless` .*?\n\n/ms);
    const fields = [...table.matchAll(/^\| `(\w+)` /gm)].map(([, name]) => name);
    assert.deepEqual(fields.sort(), fieldsOf(schemas.CreateRequest));
  });

  test(`the session in ${pages}/sessions.md has fields of the API`, () => {
    const example = JSON.parse(read(`${pages}/sessions.md`).match(/```json\n(.*?)```/s)[1]);
    assert.deepEqual(
      Object.keys(example).sort(),
      fieldsOf(schemas.Session).filter((name) => name !== 'request_id'),
    );
  });

  test(`the worker in ${pages}/api.md has the fields of the API`, () => {
    const worker = JSON.parse(read(`${pages}/api.md`).match(/```json\n(.*?)```/s)[1]);
    assert.deepEqual(Object.keys(worker).sort(), fieldsOf(schemas.WorkerStatus));
    assert.deepEqual(Object.keys(worker.detail.facts).sort(), fieldsOf(schemas.Facts));
  });
}

test('every picture is shown in both languages', () => {
  const pictures = fs.readdirSync(new URL('../screenshots', import.meta.url)).sort();
  for (const { readme, pages } of LANGUAGES) {
    const names = fs.readdirSync(new URL(`../../${pages}`, import.meta.url)).filter((name) => name.endsWith('.md'));
    const text = [readme, ...names.map((name) => `${pages}/${name}`)].map(read).join('');
    assert.deepEqual([...new Set([...text.matchAll(/screenshots\/(\w+\.png)/g)].map(([, name]) => name))].sort(), pictures);
  }
});

import { expect, it } from 'vitest';

import { curlCommand } from './curl.ts';

const URL = 'http://127.0.0.1:9000/api/sessions';

it('is a command of a shell that sends the request', () => {
  const request = { vnc: false, labels: { "it's": 'it' } };
  expect(curlCommand(URL, request, false)).toBe(
    `curl '${URL}' \\
  --header 'Content-Type: application/json' \\
  --data '{
  "vnc": false,
  "labels": {
    "it'\\''s": "it"
  }
}'`,
  );
});

it('has neither the token nor the password of a proxy', () => {
  const proxy = { server: 'socks5://a.test:1080', username: 'me', password: 's3cret' };
  const command = curlCommand(URL, { proxy }, true);
  expect(command).toContain('--header "Authorization: Bearer $CONTROL_API_TOKEN"');
  expect(command).toContain('"username": "me",\n    "password": "PASSWORD"');
  expect(command).not.toContain('s3cret');
});

it.each(['eu', { server: 'a.test:1', username: 'key', password: '' }])(
  'keeps the proxy %j, which has no password',
  (proxy) => {
    expect(curlCommand(URL, { proxy }, false)).toContain(JSON.stringify({ proxy }, null, 2));
  },
);

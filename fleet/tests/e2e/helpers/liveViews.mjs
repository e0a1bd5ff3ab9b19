/** The addresses of live views, as the tests expect them. */
import assert from 'node:assert/strict';

/** The key in the address of a live view. */
export function keyOf(address) {
  return new URL(address, 'http://fleet').searchParams.get('key');
}

/** The addresses of a session's live view without their key, which must be present and the same in both. */
export function keyless({ ws, http, ...rest }) {
  const key = keyOf(ws);
  assert.match(key, /^[0-9a-f]{32}$/);
  if (http !== null) assert.equal(keyOf(http), key);
  const without = (address) => address?.replace(new RegExp(`[?&]key=${key}$`), '') ?? null;
  return { ws: without(ws), http: without(http), ...rest };
}

/** The viewport of contexts whose client names none. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { defaultToWindow } from '../lib/viewport.mjs';

/** The parameters of a call, as a client sends them and as they are afterwards. */
function after(params, { type = 'Browser', method = 'newContext' } = {}) {
  const message = { method, params: { ...params } };
  defaultToWindow(type, message);
  return message.params;
}

test('the window is the viewport, unless the client chose one or what needs one', () => {
  assert.deepEqual(after({ noDefaultViewport: false, locale: 'de' }), { noDefaultViewport: true, locale: 'de' });
  assert.deepEqual(after({}, { method: 'newContextForReuse' }), { noDefaultViewport: true });
  const size = { width: 800, height: 600 };
  for (const chosen of [{ viewport: size }, { deviceScaleFactor: 2 }, { isMobile: true }, { noDefaultViewport: true }]) {
    assert.deepEqual(after(chosen), chosen);
  }
  assert.deepEqual(after({}, { method: 'close' }), {});
  assert.deepEqual(after({}, { type: 'Page' }), {});
  assert.doesNotThrow(() => defaultToWindow('Browser', { method: 'newContext' }));
});

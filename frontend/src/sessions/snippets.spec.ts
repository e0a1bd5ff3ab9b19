import { describe, expect, it } from 'vitest';

import { LANGUAGES, snippets } from './snippets.ts';

const URL_ = 'ws://fleet.test:9000/sessions/local/3f2b8c1e/ws';

describe('snippets', () => {
  it.each(LANGUAGES)('in %s connects to the URL, opens a page and prints its title', (language) => {
    const code = snippets(URL_, false)[language];
    expect(code).toContain(`"${URL_}"`);
    expect(code).toMatch(/firefox(\(\))?\.connect(Async)?\(url\)/i);
    expect(code).toMatch(/new_?Page(Async)?\(\)/i);
    expect(code).toMatch(/title(Async)?\(\)/i);
    expect(code).not.toMatch(/token|environ|getenv|quote|URLEncoder/i);
  });

  it.each(LANGUAGES)(
    'in %s reads the token from the environment where one is needed',
    (language) => {
      const code = snippets(URL_, true)[language];
      expect(code).toContain(`"${URL_}?access_token="`);
      expect(code).toContain('CONTROL_API_TOKEN');
      expect(code).toMatch(/encodeURIComponent|quote\(|URLEncoder\.encode|EscapeDataString/);
    },
  );

  it('appends the token to an existing query', () => {
    expect(snippets(`${URL_}?a=b`, true).node).toContain(`"${URL_}?a=b&access_token="`);
  });

  it('for Node has valid syntax', () => {
    for (const tokenNeeded of [false, true]) {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- parsed only, never called
      expect(() => new Function(snippets(URL_, tokenNeeded).node)).not.toThrow();
    }
  });
});

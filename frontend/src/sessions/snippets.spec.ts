import { describe, expect, it } from 'vitest';

import { LANGUAGES, snippets } from './snippets.ts';

const URL_ = 'ws://fleet.test:9000/sessions/local/3f2b8c1e/ws';

describe('snippets', () => {
  it.each(LANGUAGES)('in %s connects to the URL, opens a page and prints its title', (language) => {
    const code = snippets(URL_, false, null, false)[language];
    expect(code).toContain(`"${URL_}"`);
    expect(code).toMatch(/firefox(\(\))?\.connect(Async)?\(url\)/i);
    expect(code).toMatch(/new_?Page(Async)?\(\)/i);
    expect(code).toMatch(/title(Async)?\(\)/i);
    expect(code).not.toMatch(/token|environ|getenv|quote|URLEncoder/i);
  });

  it.each(LANGUAGES)(
    'in %s reads the token from the environment where one is needed',
    (language) => {
      const code = snippets(URL_, true, null, false)[language];
      expect(code).toContain(`"${URL_}?access_token="`);
      expect(code).toContain('CONTROL_API_TOKEN');
      expect(code).toMatch(/encodeURIComponent|quote\(|URLEncoder\.encode|EscapeDataString/);
    },
  );

  it('installs clients of the fleet’s own Playwright version', () => {
    const pinned = snippets(URL_, false, '1.62.1', false);
    expect(pinned.node).toContain('npm install playwright-core@1.62\n');
    expect(pinned.python).toContain("pip install 'playwright==1.62.*'\n");
    expect(pinned.java).toContain('com.microsoft.playwright:playwright:[1.62,1.63)\n');
    expect(pinned.dotnet).toContain("dotnet add package Microsoft.Playwright --version '1.62.*'\n");
  });

  it.each([null, '', 'next', '1'])('pins nothing where the version is %j', (version) => {
    const programs = snippets(URL_, false, version, false);
    expect(programs.node).toContain('npm install playwright-core\n');
    expect(programs.python).toContain('pip install playwright\n');
    expect(programs.java).toContain('com.microsoft.playwright:playwright\n');
    expect(programs.dotnet).toContain('dotnet add package Microsoft.Playwright\n');
  });

  it('appends the token to an existing query', () => {
    expect(snippets(`${URL_}?a=b`, true, null, false).node).toContain(
      `"${URL_}?a=b&access_token="`,
    );
  });

  it.each(LANGUAGES)(
    'in %s open a page in the context of the profile, if there is one',
    (language) => {
      const first = /contexts(\(\))?(\[0\]|\.get\(0\))/i;
      expect(snippets(URL_, false, null, true)[language]).toMatch(first);
      expect(snippets(URL_, false, null, false)[language]).not.toMatch(first);
    },
  );

  it('for Node has valid syntax', () => {
    for (const tokenNeeded of [false, true]) {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- parsed only, never called
      expect(() => new Function(snippets(URL_, tokenNeeded, '1.62.1', false).node)).not.toThrow();
    }
  });
});

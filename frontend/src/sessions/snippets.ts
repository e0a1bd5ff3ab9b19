/** The languages that Playwright has clients for. */
export const LANGUAGES = ['node', 'python', 'java', 'dotnet'] as const;

/** One of {@link LANGUAGES}. */
export type Language = (typeof LANGUAGES)[number];

/** The environment variable with the access token: the snippets contain no secret. */
export const TOKEN_VARIABLE = 'CONTROL_API_TOKEN';

/** A page that is reachable from everywhere and has a title. */
const SAMPLE_PAGE = 'https://example.com';

type Expressions = Record<Language, string>;

/** What makes a page: the browser, in a new context, or its first context. */
const NEW_CONTEXTS: Expressions = {
  node: 'browser',
  python: 'browser',
  java: 'browser',
  dotnet: 'browser',
};
const FIRST_CONTEXTS: Expressions = {
  node: 'browser.contexts()[0]',
  python: 'browser.contexts[0]',
  java: 'browser.contexts().get(0)',
  dotnet: 'browser.Contexts[0]',
};

/**
 * The WebSocket URL as an expression in each language. A URL serialized by the browser contains neither
 * quotes nor backslashes, so its literal is the same in all four.
 */
function urlExpressions(url: string, tokenNeeded: boolean): Expressions {
  const literal = JSON.stringify(url);
  if (!tokenNeeded) return { node: literal, python: literal, java: literal, dotnet: literal };
  const start = JSON.stringify(`${url}${url.includes('?') ? '&' : '?'}access_token=`);
  return {
    node: `${start} + encodeURIComponent(process.env.${TOKEN_VARIABLE})`,
    python: `${start} + quote(os.environ["${TOKEN_VARIABLE}"], safe="")`,
    java: `${start}\n        + URLEncoder.encode(System.getenv("${TOKEN_VARIABLE}"), StandardCharsets.UTF_8)`,
    dotnet: `${start}\n    + Uri.EscapeDataString(Environment.GetEnvironmentVariable("${TOKEN_VARIABLE}")!)`,
  };
}

/** How each language's client is installed, in the fleet's version: a client of another one is refused. */
function installCommands(playwright: string | null): Expressions {
  const [, major, minor] = /^(\d+)\.(\d+)(?:\.|$)/.exec(playwright ?? '') ?? [];
  if (major === undefined || minor === undefined) {
    return {
      node: 'npm install playwright-core',
      python: 'pip install playwright',
      java: 'Maven: com.microsoft.playwright:playwright',
      dotnet: 'dotnet add package Microsoft.Playwright',
    };
  }
  const version = `${major}.${minor}`;
  return {
    node: `npm install playwright-core@${version}`,
    python: `pip install 'playwright==${version}.*'`,
    java: `Maven: com.microsoft.playwright:playwright:[${version},${major}.${String(Number(minor) + 1)})`,
    dotnet: `dotnet add package Microsoft.Playwright --version '${version}.*'`,
  };
}

/**
 * Complete programs that attach to a session, open a page and print its title.
 *
 * @param url the absolute WebSocket URL of the session, without a token
 * @param tokenNeeded whether the fleet needs an access token, which is then read from the environment
 * @param playwright the Playwright version of the session's worker; null if it is unknown
 * @param ofProfile whether the session has a profile, which is the browser's first context
 */
export function snippets(
  url: string,
  tokenNeeded: boolean,
  playwright: string | null,
  ofProfile: boolean,
): Record<Language, string> {
  const context = ofProfile ? FIRST_CONTEXTS : NEW_CONTEXTS;
  const install = installCommands(playwright);
  const expressions = urlExpressions(url, tokenNeeded);
  return {
    node: `// ${install.node}
const { firefox } = require("playwright-core");

(async () => {
  const url = ${expressions.node};
  const browser = await firefox.connect(url);
  const page = await ${context.node}.newPage();
  await page.goto("${SAMPLE_PAGE}");
  console.log(await page.title());
  await browser.close();
})();
`,
    python: `# ${install.python}
${tokenNeeded ? 'import os\nfrom urllib.parse import quote\n\n' : ''}from playwright.sync_api import sync_playwright

url = ${expressions.python}
with sync_playwright() as playwright:
    browser = playwright.firefox.connect(url)
    page = ${context.python}.new_page()
    page.goto("${SAMPLE_PAGE}")
    print(page.title())
    browser.close()
`,
    java: `// ${install.java}
import com.microsoft.playwright.*;
${tokenNeeded ? 'import java.net.URLEncoder;\nimport java.nio.charset.StandardCharsets;\n' : ''}
public class Main {
  public static void main(String[] args) {
    String url = ${expressions.java};
    try (Playwright playwright = Playwright.create()) {
      Browser browser = playwright.firefox().connect(url);
      Page page = ${context.java}.newPage();
      page.navigate("${SAMPLE_PAGE}");
      System.out.println(page.title());
      browser.close();
    }
  }
}
`,
    dotnet: `// ${install.dotnet}
using Microsoft.Playwright;

var url = ${expressions.dotnet};
using var playwright = await Playwright.CreateAsync();
await using var browser = await playwright.Firefox.ConnectAsync(url);
var page = await ${context.dotnet}.NewPageAsync();
await page.GotoAsync("${SAMPLE_PAGE}");
Console.WriteLine(await page.TitleAsync());
`,
  };
}

/** The languages that Playwright has clients for. */
export const LANGUAGES = ['node', 'python', 'java', 'dotnet'] as const;

/** One of {@link LANGUAGES}. */
export type Language = (typeof LANGUAGES)[number];

/** The environment variable with the access token: the snippets contain no secret. */
export const TOKEN_VARIABLE = 'CONTROL_API_TOKEN';

/** A page that is reachable from everywhere and has a title. */
const SAMPLE_PAGE = 'https://example.com';

type Expressions = Record<Language, string>;

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

/**
 * Complete programs that attach to a session, open a page and print its title.
 *
 * @param url the absolute WebSocket URL of the session, without a token
 * @param tokenNeeded whether the fleet needs an access token, which is then read from the environment
 */
export function snippets(url: string, tokenNeeded: boolean): Record<Language, string> {
  const expressions = urlExpressions(url, tokenNeeded);
  return {
    node: `// npm install playwright-core
const { firefox } = require("playwright-core");

(async () => {
  const url = ${expressions.node};
  const browser = await firefox.connect(url);
  const page = await browser.newPage();
  await page.goto("${SAMPLE_PAGE}");
  console.log(await page.title());
  await browser.close();
})();
`,
    python: `# pip install playwright
${tokenNeeded ? 'import os\nfrom urllib.parse import quote\n\n' : ''}from playwright.sync_api import sync_playwright

url = ${expressions.python}
with sync_playwright() as playwright:
    browser = playwright.firefox.connect(url)
    page = browser.new_page()
    page.goto("${SAMPLE_PAGE}")
    print(page.title())
    browser.close()
`,
    java: `// Maven: com.microsoft.playwright:playwright
import com.microsoft.playwright.*;
${tokenNeeded ? 'import java.net.URLEncoder;\nimport java.nio.charset.StandardCharsets;\n' : ''}
public class Main {
  public static void main(String[] args) {
    String url = ${expressions.java};
    try (Playwright playwright = Playwright.create()) {
      Browser browser = playwright.firefox().connect(url);
      Page page = browser.newPage();
      page.navigate("${SAMPLE_PAGE}");
      System.out.println(page.title());
      browser.close();
    }
  }
}
`,
    dotnet: `// dotnet add package Microsoft.Playwright
using Microsoft.Playwright;

var url = ${expressions.dotnet};
using var playwright = await Playwright.CreateAsync();
await using var browser = await playwright.Firefox.ConnectAsync(url);
var page = await browser.NewPageAsync();
await page.GotoAsync("${SAMPLE_PAGE}");
Console.WriteLine(await page.TitleAsync());
`,
  };
}

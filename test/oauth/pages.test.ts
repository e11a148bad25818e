import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromGoTemplate } from "../../src/oauth/go-template.ts";
import { authorizeUrl, client, openPage, pkce, startLogin, submit } from "./login.ts";
import type { LoginPage } from "./login.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");

async function withPages(
  pages: Record<string, string>,
  run: (at: {
    url: string;
    folder: string;
    log: readonly Record<string, unknown>[];
    open: () => Promise<LoginPage>;
  }) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-pages-"));
  const folder = join(directory, "mine", "oauth");
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(pages)) writeFileSync(join(folder, name), text);
  try {
    await using proxy = await startLogin({ templateDir: join(directory, "mine") }, { directory });
    const { client_id } = await client(proxy.url, { client_name: "<App> & {{x}}" });
    const open = (): Promise<LoginPage> =>
      openPage(
        authorizeUrl(proxy.url, { client_id, code_challenge: pkce().challenge, resource: `${proxy.url}/a/mcp` }),
      );
    await run({ url: proxy.url, folder, log: proxy.log, open });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** As the Go program's manual describes such a page. */
const GO_LOGIN = `<!DOCTYPE html>
<html><head><style>body { color: red }</style></head><body>
<h1>{{.ClientName}} wants {{ .ResourceName }}</h1>
{{if .ErrorMessage}}<p class="error">{{.ErrorMessage}}</p>{{else}}<p>welcome</p>{{end}}
<form method="POST" action="/oauth/authorize">
<input type="hidden" name="client_id" value="{{.ClientID}}">
<input type="hidden" name="redirect_uri" value="{{.RedirectURI}}">
<input type="hidden" name="state" value="{{.State}}">
<input name="username"><input type="password" name="password">
<button type="submit">Authorize</button></form></body></html>`;
const GO_SUCCESS = `<html><body><p>Hello {{.Username}}</p><script>window.location.href = "{{.RedirectURL}}";</script></body></html>`;

test("42: pages ejected from the Go program keep working, with their names, without a field for the transaction", async () => {
  await withPages({ "authorize.html": GO_LOGIN, "success.html": GO_SUCCESS }, async ({ url, open }) => {
    const page = await open();
    expect(page.html).toContain("<h1>&lt;App&gt; &amp; {{x}} wants a</h1>");
    expect(page.html).toContain("<p>welcome</p>");
    expect(page.response.headers.get("content-security-policy")).toContain("style-src 'self' 'unsafe-inline'");
    const { action: _action, ...fields } = page.fields;
    const wrong = await submit(url, { ...page, fields }, { password: "wrong", action: "" });
    expect(await wrong.text()).toContain('<p class="error">User name or password is wrong.</p>');
    const done = await submit(url, page, { action: "" });
    expect(done.status).toBe(200);
    expect(await done.text()).toContain("<p>Hello alice</p>");
    // Its script may not run, so the browser is told another way.
    expect(done.headers.get("refresh")).toContain("code=mcpc.");
  });
});

test("edits are seen at the next request; a broken page is not used and the log names file and line", async () => {
  await withPages({ "authorize.html": "first {{ClientName}}<form></form>" }, async ({ folder, open, log }) => {
    expect((await open()).html).toStartWith("first");
    writeFileSync(join(folder, "authorize.html"), "second<form></form>");
    expect((await open()).html).toStartWith("second");
    writeFileSync(join(folder, "authorize.html"), "one\ntwo\n{{#if x}\n");
    expect((await open()).html).toStartWith("second");
    expect(log.some((line) => String(line["msg"]).includes(`${join(folder, "authorize.html")}:3`))).toBeTrue();
    rmSync(join(folder, "authorize.html"));
    expect((await open()).html).toContain("<!doctype html>");
  });
});

test("a page that is broken from the start gives way to the one in the binary, each by itself", async () => {
  const broken = {
    "authorize.html": "a\n{{#each x}}",
    "success.html": "good {{Username}} {{{Username}}} {{&RedirectURL}}",
  };
  await withPages(broken, async ({ url, open, log }) => {
    const page = await open();
    expect(page.html).toContain("wants to use your MCP servers");
    expect(await (await submit(url, page)).text()).toStartWith("good alice alice http");
    expect(log.some((line) => /authorize\.html(:\d+)? is broken/.test(String(line["msg"])))).toBeTrue();
  });
});

test("31: also in the operator's own pages nothing is put in as it is", async () => {
  await withPages(
    {
      "authorize.html":
        "{{{ClientName}}}|{{&ClientName}}|{{constructor.name}}|{{lookup this '__proto__'}}<form></form>",
    },
    async ({ open }) => {
      const { html } = await open();
      expect(html).not.toContain("<App>");
      expect(html.split("|")[0]).toBe("&lt;App&gt; &amp; {{x}}");
    },
  );
});

test("Go's syntax is put into the pages' own words, line by line", () => {
  expect(fromGoTemplate("{{.A}} {{ .B }} {{- .C -}}")).toBe("{{A}} {{B}} {{~C~}}");
  expect(fromGoTemplate("{{if .A}}x{{else}}y{{end}}\n{{range .L}}{{.}}{{end}}")).toBe(
    "{{#if A}}x{{else}}y{{/if}}\n{{#each L}}{{this}}{{/each}}",
  );
  expect(fromGoTemplate("{{if .A}}x{{else if .B}}y{{end}}")).toBe("{{#if A}}x{{else if B}}y{{/if}}");
  expect(fromGoTemplate("{{if not .A}}x{{end}}{{/* note */}}")).toBe("{{#unless A}}x{{/unless}}{{!--  note  --}}");
  expect(fromGoTemplate("{{#if A}}{{A}}{{/if}}")).toBe("{{#if A}}{{A}}{{/if}}");
  expect(() => fromGoTemplate("{{.A}}\n{{end}}")).toThrow("line 2");
  expect(() => fromGoTemplate('{{.A}}\n\n{{printf "%s" .A}}')).toThrow("line 3");
  expect(() => fromGoTemplate("{{if .A}}")).toThrow("missing");
});

test("--eject-templates writes all pages, keeps edited ones, and obeys --force; hash-password hashes", async () => {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-eject-"));
  const run = async (args: string[], input = ""): Promise<{ code: number; out: string; err: string }> => {
    const child = Bun.spawn([process.execPath, MAIN, ...args], {
      cwd: directory,
      stdin: new Blob([input]),
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: process.env["PATH"], HOME: directory },
    });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    return { code: await child.exited, out, err };
  };
  expect((await run(["-eject-templates-to", "own"])).code).toBe(0);
  for (const name of ["authorize.html", "success.html", "error.html", "style.css"])
    expect(existsSync(join(directory, "own/oauth", name))).toBeTrue();
  const edited = join(directory, "own/oauth/error.html");
  writeFileSync(edited, "mine");
  const again = await run(["--eject-templates-to", "own"]);
  expect([again.code, again.err.includes(edited)]).toEqual([1, true]);
  expect(readFileSync(edited, "utf8")).toBe("mine");
  expect((await run(["--eject-templates-to", "own", "--force"])).code).toBe(0);
  expect(readFileSync(edited, "utf8")).not.toBe("mine");
  writeFileSync(
    join(directory, "config.json"),
    JSON.stringify({
      mcpProxy: {
        options: { oauth2: { enabled: true, users: { a: "b" }, templateDir: "from-config" } },
        type: "streamable-http",
      },
      mcpServers: { a: { command: "true" } },
    }),
  );
  expect((await run(["--eject-templates"])).code).toBe(0);
  expect(existsSync(join(directory, "from-config/oauth/authorize.html"))).toBeTrue();

  const hashed = await run(["hash-password"], "päss wörd\n");
  expect(await Bun.password.verify("päss wörd", hashed.out.trim())).toBeTrue();
  expect((await run(["hash-password"], `${"x".repeat(80)}\n`)).err).toContain("72");
  expect((await run(["hash-password"], "")).code).toBe(1);
  rmSync(directory, { recursive: true });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checkPublic } from "../../src/cli/check-public.ts";
import { startLogin } from "../oauth/login.ts";
import { PROGRAM } from "../support/bridge.ts";
import { makeCertificate } from "../support/certificate.ts";
import { program, testWith } from "../support/programs.ts";
import type { RunningProxy } from "../support/proxy.ts";

interface Result {
  readonly code: number;
  readonly text: string;
}

async function check(url: string, ...more: string[]): Promise<Result> {
  const child = Bun.spawn([...PROGRAM, "check", "--public", url, ...more], { stdout: "pipe", stderr: "pipe" });
  const text = (await child.stdout.text()) + (await child.stderr.text());
  return { code: await child.exited, text };
}

describe("check --public", () => {
  let proxy: RunningProxy;
  beforeAll(async () => void (proxy = await startLogin()));
  afterAll(() => proxy[Symbol.asyncDispose]());

  /** What may stand in front of a proxy. */
  const front = (answer: (request: Request, body: string) => Response | undefined): Bun.Server<undefined> =>
    Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        const body = await request.text();
        const { pathname } = new URL(request.url);
        const headers = new Headers(request.headers);
        headers.set("Host", new URL(proxy.url).host);
        const init = { method: request.method, headers, ...(body === "" ? {} : { body }) };
        return answer(request, body) ?? (await fetch(proxy.url + pathname, init));
      },
    });
  test("a proxy with a login: nothing is in the way", async () => {
    const { code, text } = await check(`http://localhost:${proxy.port}/a/mcp`);
    expect(text).toContain("nothing is in the way");
    expect(text).toMatch(/ok +\/a\/mcp +401 with resource_metadata/);
    expect(text).toContain(`resource is exactly http://localhost:${proxy.port}/a/mcp`);
    expect(text).toMatch(/ok +authorization server metadata +issuer matches, S256, registration/);
    expect(text).toMatch(/ok +POST as "Claude-User"/);
    expect(text).toMatch(/skip +stream stays open.*needs a credential/);
    expect(code).toBe(0);
  });

  test("what stops one user agent, large bodies or the documents is named, with the remedy", async () => {
    using gate = front((request, body) => {
      if (request.headers.get("user-agent") === "Claude-User")
        return new Response("blocked", { status: 403, headers: { Server: "cloudflare" } });
      return body.length > 500_000 ? new Response(null, { status: 413, headers: { Server: "nginx" } }) : undefined;
    });
    const { code, text } = await check(`${gate.url.href}a/mcp`, "--json");
    const { ok, findings } = JSON.parse(text) as { ok: boolean; findings: Record<string, string>[] };
    const failed = findings.filter(({ result }) => result === "FAIL");
    expect([ok, code]).toEqual([false, 1]);
    expect(failed.map(({ what }) => what)).toEqual([
      "protected resource metadata",
      'POST as "Claude-User"',
      "body of 1 MB",
    ]);
    // The proxy does not know of the address in front of it.
    expect(failed[0]?.["hint"]).toContain("set baseURL");
    expect(failed[1]?.["hint"]).toContain("AI Crawl Control");
    expect(failed[2]?.["hint"]).toContain("client_max_body_size");
  });

  test("a page in the place of the endpoint, and nobody at all", async () => {
    using page = front(() => new Response("<html></html>", { headers: { "Content-Type": "text/html" } }));
    const shown = await check(`${page.url.href}mcp`);
    expect([shown.code, shown.text]).toEqual([1, expect.stringMatching(/FAIL +\/mcp +HTTP 200 text\/html/)]);
    await page.stop(true);
    expect((await check(`${page.url.href}mcp`)).text).toMatch(/FAIL +\/mcp/);
    expect((await check("nonsense")).code).toBe(2);
  });

  test("a stream that is closed early, and one that stays open", async () => {
    for (const [ends, word] of [
      [true, "it was closed early"],
      [false, "but nothing arrived on it"],
    ] as const) {
      using gate = front((request) => {
        if (request.method === "DELETE") return new Response(null, { status: 204 });
        if (request.method === "POST") return Response.json({}, { headers: { "Mcp-Session-Id": "s" } });
        return new Response(new ReadableStream({ start: (stream) => void (ends && stream.close()) }), {
          headers: { "Content-Type": "text/event-stream" },
        });
      });
      let out = "";
      const io = { stdout: (text: string) => void (out += text), stderr: () => {}, env: {}, cwd: "/", home: undefined };
      const options = { url: new URL(gate.url), headers: [], json: false };
      expect(await checkPublic(options, { ...io, fetch: globalThis.fetch }, 300)).toBe(1);
      expect(out).toContain(word);
    }
  });

  testWith(program("openssl"), "a certificate that nobody trusts", async (openssl) => {
    const directory = mkdtempSync(join(tmpdir(), "check-public-"));
    const { cert, key } = await makeCertificate(openssl, directory);
    using server = Bun.serve({ port: 0, hostname: "127.0.0.1", tls: { cert, key }, fetch: () => new Response() });
    const { code, text } = await check(`https://localhost:${server.port}/mcp`);
    expect([code, text]).toEqual([1, expect.stringMatching(/FAIL +TLS/)]);
    rmSync(directory, { recursive: true });
  });
});

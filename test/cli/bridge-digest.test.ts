import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { start } from "../support/bridge.ts";

const INITIALIZE =
  '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}';
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const list = (id: number): string => `{"jsonrpc":"2.0","id":${id},"method":"tools/list"}`;

const USER = { username: "ann", password: 'p:ä "ss" word' };
const FLAGS = ["--digest", "--username", USER.username, "--password", USER.password];

/** Reads `name=value` and `name="value"`. */
function fields(header: string): Map<string, string> {
  const found = header.replace(/^Digest /, "").matchAll(/([\w*-]+)=(?:"([^"]*)"|([^,]*))/g);
  return new Map([...found].map(([, name = "", text, token]) => [name, text ?? token ?? ""]));
}

/** A server of one tool over Streamable HTTP at /mcp and HTTP+SSE at /sse, for whoever knows the password. */
function guarded(algorithm: string, usesOfNonce = Number.POSITIVE_INFINITY) {
  const counts = new Map<string, number>();
  const seen: (string | null)[] = [];
  const requests = { accepted: 0, stale: 0, wrong: 0 };
  let stream: ReadableStreamDefaultController<string> | undefined;
  const hash = (text: string): string =>
    createHash(algorithm.startsWith("SHA-256") ? "sha256" : "md5")
      .update(text)
      .digest("hex");

  /** Whether the request is authenticated; `stale` when by a nonce that has ended. */
  const check = (request: Request): true | "none" | "stale" | "wrong" => {
    const header = request.headers.get("authorization");
    seen.push(header);
    if (header?.startsWith("Digest ") !== true) return "none";
    const given = fields(header);
    const [nonce = "", nc = "", cnonce = "", uri = ""] = ["nonce", "nc", "cnonce", "uri"].map((name) =>
      given.get(name),
    );
    const { pathname, search } = new URL(request.url);
    if (uri !== pathname + search || given.get("opaque") !== "o p=a,que" || given.get("qop") !== "auth") return "wrong";
    const secret = hash(`${USER.username}:the realm:${USER.password}`);
    const a1 = algorithm.endsWith("-sess") ? hash(`${secret}:${nonce}:${cnonce}`) : secret;
    const expected = hash(`${a1}:${nonce}:${nc}:${cnonce}:auth:${hash(`${request.method}:${uri}`)}`);
    if (given.get("username") !== USER.username || given.get("response") !== expected) return "wrong";
    const before = counts.get(nonce);
    const count = Number.parseInt(nc, 16);
    if (before === undefined || count <= before || count > usesOfNonce) return "stale";
    counts.set(nonce, count);
    return true;
  };

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const checked = check(request);
      if (checked !== true) {
        if (checked !== "none") requests[checked]++;
        const nonce = crypto.randomUUID();
        counts.set(nonce, 0);
        const challenge = `Digest realm="the realm", qop="auth,auth-int", algorithm=${algorithm}, nonce="${nonce}", opaque="o p=a,que"`;
        return new Response("who are you?", {
          status: 401,
          headers: { "www-authenticate": checked === "stale" ? `${challenge}, stale=true` : challenge },
        });
      }
      requests.accepted++;
      const { pathname } = new URL(request.url);
      if (request.method === "GET" && pathname === "/sse") {
        const body = new ReadableStream<string>({
          start: (controller) => {
            stream = controller;
            controller.enqueue("event: endpoint\ndata: /post?session=a%20b\n\n");
          },
        });
        return new Response(body, { headers: { "content-type": "text/event-stream" } });
      }
      if (request.method !== "POST" || pathname === "/sse") return new Response(null, { status: 405 });
      const { id, method } = (await request.json()) as { id?: unknown; method: string };
      if (id === undefined) return new Response(null, { status: 202 });
      const result =
        method === "initialize"
          ? { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "far", version: "1" } }
          : { tools: [{ name: "far-tool", inputSchema: { type: "object" } }] };
      const answer = { jsonrpc: "2.0", id, result };
      if (pathname === "/mcp") return Response.json(answer);
      stream?.enqueue(`event: message\ndata: ${JSON.stringify(answer)}\n\n`);
      return new Response(null, { status: 202 });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    seen,
    requests,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

for (const [transport, path] of [
  ["streamablehttp", "/mcp"],
  ["sse", "/sse"],
] as const) {
  describe(`--digest, ${transport}`, () => {
    test.each(["SHA-256", "MD5", "SHA-256-sess", "MD5-sess"])(
      "%s: one challenge serves all requests",
      async (algorithm) => {
        await using far = guarded(algorithm);
        await using run = start([`${far.url}${path}`, "--transport", transport, ...FLAGS]);
        run.write(INITIALIZE, INITIALIZED);
        await run.said(/"serverInfo"/);
        for (let id = 1; id <= 3; id++) {
          run.write(list(id));
          await run.message((message) => message.id === id && message.result !== undefined);
        }
        expect(await run.finish()).toBe(0);
        expect(far.requests.wrong).toBe(0);
        expect(far.requests.accepted).toBeGreaterThanOrEqual(5);
        // Nothing but Digest is ever sent, and nothing without it once there was a challenge.
        expect(far.seen[0]).toBeNull();
        expect(far.seen.filter((header) => header === null).length).toBe(1);
        expect(run.err()).not.toContain(USER.password);
      },
    );

    test("a nonce that ends is replaced", async () => {
      await using far = guarded("SHA-256", 2);
      await using run = start([`${far.url}${path}`, "--transport", transport, ...FLAGS]);
      run.write(INITIALIZE, INITIALIZED);
      await run.said(/"serverInfo"/);
      for (let id = 1; id <= 6; id++) {
        run.write(list(id));
        await run.message((message) => message.id === id && message.result !== undefined);
      }
      expect(far.requests.stale).toBeGreaterThan(1);
      expect(far.requests.wrong).toBe(0);
    });

    test("a wrong password is an error that says so, after one attempt", async () => {
      await using far = guarded("SHA-256");
      const flags = ["--digest", "--username", "ann", "--password", "not-the-password"];
      await using run = start([`${far.url}${path}`, "--transport", transport, ...flags]);
      run.write(INITIALIZE);
      const answer = await run.message((message) => message.id === "i");
      expect(answer.error?.message).toContain("Digest");
      expect(answer.error?.message).toContain("--password");
      expect(await run.finish()).toBe(0);
      expect(far.requests.accepted).toBe(0);
      expect(far.requests.wrong).toBe(1);
      expect(run.out() + run.err()).not.toContain("not-the-password");
    });
  });
}

test("without --digest the error names it", async () => {
  await using far = guarded("MD5");
  await using run = start([`${far.url}/mcp`, "--username", "ann", "--password", "p"]);
  run.write(INITIALIZE);
  const answer = await run.message((message) => message.id === "i");
  expect(answer.error?.message).toContain("--digest");
});

test("with --digest no other credentials are sent", async () => {
  await using far = guarded("SHA-256");
  const args = [`${far.url}/mcp`, ...FLAGS, "-H", "Authorization", "Bearer h"];
  await using run = start(args, { env: { API_ACCESS_TOKEN: "secret-token" } });
  run.write(INITIALIZE);
  await run.said(/"serverInfo"/);
  expect(far.seen.filter((header) => header !== null && !header.startsWith("Digest "))).toEqual([]);
  expect(run.err()).toContain("API_ACCESS_TOKEN");
});

test.each([
  [["--digest"]],
  [["--digest", "--username", "ann"]],
  [["--digest", "--password", "s3cret-value"]],
  [["--username", "ann"]],
  [["--password", "s3cret-value"]],
])("%j: exit code 1 and the remedy", async (flags) => {
  await using run = start(["http://127.0.0.1:9/mcp", ...flags]);
  expect(await run.finish()).toBe(1);
  expect(run.err()).toMatch(/Try: /);
  expect(run.err()).toContain("--username and --password");
  expect(run.err()).not.toContain("s3cret-value");
  expect(run.out()).toBe("");
});

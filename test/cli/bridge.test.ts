import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "../support/bridge.ts";
import type { Run } from "../support/bridge.ts";
import { makeCertificate, makeSigned } from "../support/certificate.ts";
import { program } from "../support/programs.ts";

const OPENSSL = program("openssl").path;

const INITIALIZE =
  '{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}';
const INITIALIZED = '{"jsonrpc":"2.0","method":"notifications/initialized"}';
const LIST = '{"jsonrpc":"2.0","id":2,"method":"tools/list"}';

/** A remote server of one tool, without sessions; `before` may answer in its place. */
function remote(
  before: (request: Request) => Response | undefined = () => undefined,
  more: { tls?: { cert: string; key: string }; port?: number } = {},
) {
  const requests: Request[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: more.port ?? 0,
    ...(more.tls === undefined ? {} : { tls: more.tls }),
    async fetch(request) {
      requests.push(request.clone() as unknown as Request);
      const other = before(request);
      if (other !== undefined) return other;
      if (request.method !== "POST") return new Response(null, { status: 405 });
      const { id, method } = (await request.json()) as { id?: unknown; method: string };
      if (id === undefined) return new Response(null, { status: 202 });
      const result =
        method === "initialize"
          ? { protocolVersion: "2025-06-18", capabilities: { tools: {} }, serverInfo: { name: "far", version: "1" } }
          : { tools: [{ name: "far-tool", inputSchema: { type: "object" } }] };
      return Response.json({ jsonrpc: "2.0", id, result });
    },
  });
  return {
    url: `${more.tls === undefined ? "http" : "https"}://127.0.0.1:${server.port}/mcp`,
    port: server.port as number,
    requests,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

const authorizations = (requests: readonly Request[]): Set<string | null> =>
  new Set(requests.map((request) => request.headers.get("authorization")));

/** Says everything, closes the input, and expects the tool of the remote. */
async function listed(run: Run): Promise<void> {
  run.write(INITIALIZE, INITIALIZED, LIST);
  expect(await run.finish()).toBe(0);
  expect(run.out()).toContain("far-tool");
  for (const line of run.out().trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("jsonrpc", "2.0");
}

/** The error that the first request gets. */
async function refused(run: Run): Promise<string> {
  run.write(INITIALIZE);
  expect(await run.finish()).toBe(0);
  const answer = JSON.parse(run.out()) as { id: unknown; error?: { message: string } };
  expect(answer.id).toBe("i");
  return answer.error?.message ?? "";
}

describe("who the bridge is", () => {
  test("headers are sent with every request; of one name the last counts", async () => {
    await using far = remote();
    await using run = start([
      "-H",
      "X-Tenant",
      "a",
      "--headers",
      "x-tenant",
      "b",
      "-H",
      "Authorization",
      "Bearer h",
      far.url,
    ]);
    await listed(run);
    expect(new Set(far.requests.map((request) => request.headers.get("x-tenant")))).toEqual(new Set(["b"]));
    expect(authorizations(far.requests)).toEqual(new Set(["Bearer h"]));
  });

  test("API_ACCESS_TOKEN wins over a header", async () => {
    await using far = remote();
    await using run = start([far.url, "-H", "Authorization", "Bearer h"], {
      env: { API_ACCESS_TOKEN: "secret-token" },
    });
    await listed(run);
    expect(authorizations(far.requests)).toEqual(new Set(["Bearer secret-token"]));
    expect(run.err()).not.toContain("secret-token");
  });

  test("--username and --password", async () => {
    await using far = remote();
    await using run = start([far.url, "--username", "ann", "--password", "pä:ss"]);
    await listed(run);
    expect(authorizations(far.requests)).toEqual(new Set([`Basic ${Buffer.from("ann:pä:ss").toString("base64")}`]));
  });

  test("SSE_URL stands for the URL", async () => {
    await using far = remote();
    await using run = start([], { env: { SSE_URL: far.url } });
    await listed(run);
  });
});

describe("what is no URL", () => {
  for (const [what, args, env] of [
    ["http:// alone", ["http://"], {}],
    ["a bad port", ["http://127.0.0.1:99999/mcp"], {}],
    ["SSE_URL that would be a command", [], { SSE_URL: "true" }],
  ] as const) {
    test(`${what}: exit code 2 and a sentence`, async () => {
      await using run = start(args, { env });
      expect(await run.finish()).toBe(2);
      expect(run.err()).toContain("URL");
      expect(run.err()).not.toContain("    at ");
      expect(run.out()).toBe("");
    });
  }
});

describe("client credentials", () => {
  const issuer = (answer: (form: URLSearchParams, request: Request) => Response) => {
    const asked: string[] = [];
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const form = new URLSearchParams(await request.text());
        asked.push(request.headers.get("authorization") ?? `form ${form.get("client_id")}`);
        return answer(form, request);
      },
    });
    const flags = ["--client-id", "me", "--client-secret", "s3cret-value", "--token-url", `${server.url.href}token`];
    return { asked, flags, [Symbol.asyncDispose]: () => server.stop(true) };
  };

  test("a token is fetched, used, and renewed before its end", async () => {
    let made = 0;
    await using tokens = issuer((form) => {
      expect(form.get("grant_type")).toBe("client_credentials");
      // So short that it has ended by the time of the next message.
      return Response.json({ access_token: `t${++made}`, token_type: "Bearer", expires_in: 0.002 });
    });
    await using far = remote();
    await using run = start([far.url, ...tokens.flags]);
    run.write(INITIALIZE, INITIALIZED);
    await run.said(/"serverInfo"/);
    run.write(LIST);
    await run.said(/far-tool/);
    expect(made).toBeGreaterThan(1);
    expect(tokens.asked[0]).toBe(`Basic ${Buffer.from("me:s3cret-value").toString("base64")}`);
    expect(far.requests.at(-1)?.headers.get("authorization")).toBe(`Bearer t${made}`);
    expect(run.err()).not.toContain("s3cret-value");
  });

  test("a server of tokens that takes the form only", async () => {
    await using tokens = issuer((form) =>
      form.get("client_secret") === "s3cret-value"
        ? Response.json({ access_token: "formed" })
        : Response.json({ error: "invalid_client" }, { status: 401 }),
    );
    await using far = remote();
    await using run = start([far.url, ...tokens.flags]);
    await listed(run);
    expect(authorizations(far.requests)).toEqual(new Set(["Bearer formed"]));
  });

  test("a token that the remote refuses is replaced once", async () => {
    let made = 0;
    await using tokens = issuer(() => Response.json({ access_token: `t${++made}` }));
    await using far = remote((request) =>
      request.headers.get("authorization") === "Bearer t1" ? new Response("no", { status: 401 }) : undefined,
    );
    await using run = start([far.url, ...tokens.flags]);
    await listed(run);
    expect(made).toBe(2);
  });

  test("a refusal is told, without the secret", async () => {
    await using tokens = issuer(() => Response.json({ error: "invalid_client" }, { status: 401 }));
    await using far = remote();
    await using run = start([far.url, ...tokens.flags]);
    const message = await refused(run);
    expect(message).toContain("invalid_client");
    expect(message + run.err()).not.toContain("s3cret-value");
    expect(far.requests).toEqual([]);
  });
});

describe.skipIf(OPENSSL === undefined)("certificates (needs openssl)", () => {
  let home: string;
  let ca: string;
  let tls: { cert: string; key: string };

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "mcp-proxy-ca-"));
    const { authority, certificate } = await makeSigned(OPENSSL ?? "", home);
    ca = authority;
    tls = { cert: certificate.cert, key: certificate.key };
  });

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  for (const flags of [[], ["--verify-ssl"], ["--verify-ssl=true"]]) {
    test(`an unknown authority is refused with the reason: ${flags.join(" ") || "by default"}`, async () => {
      await using far = remote(undefined, { tls });
      await using run = start([...flags, far.url]);
      expect(await refused(run)).toContain("certificate");
      expect(far.requests).toEqual([]);
    });
  }

  for (const flags of [["--no-verify-ssl"], ["--verify-ssl", "false"], ["--verify-ssl=false"]]) {
    test(`${flags.join(" ")} accepts it, with a warning`, async () => {
      await using far = remote(undefined, { tls });
      await using run = start([...flags, far.url]);
      await listed(run);
      expect(run.err()).toContain("is not checked");
    });
  }

  test("--verify-ssl FILE trusts an own authority", async () => {
    await using far = remote(undefined, { tls });
    await using run = start(["--verify-ssl", ca, far.url]);
    await listed(run);
  });

  test("... and no other one", async () => {
    await using far = remote(undefined, { tls });
    const other = await makeCertificate(OPENSSL ?? "", home);
    await using run = start(["--verify-ssl", other.file, far.url]);
    expect(await refused(run)).toContain("certificate");
  });

  for (const [what, file] of [
    ["is missing", "nowhere.pem"],
    ["is no certificate", "far.ext"],
  ] as const) {
    test(`a bundle that ${what}: exit code 1 and the file`, async () => {
      await using run = start(["--verify-ssl", join(home, file), "https://127.0.0.1:9/mcp"]);
      expect(await run.finish()).toBe(1);
      expect(run.err()).toContain(file);
      expect(run.out()).toBe("");
    });
  }
});

describe("remotes that are not as they should be", () => {
  const bad: readonly (readonly [string, () => Response, RegExp])[] = [
    ["HTML", () => new Response("<html>hello</html>", { headers: { "content-type": "text/html" } }), /text\/html/],
    ["401", () => new Response("no", { status: 401 }), /401/],
    ["403", () => new Response("no", { status: 403 }), /403/],
    ["404", () => new Response("no", { status: 404 }), /404/],
    ["500", () => new Response("no", { status: 500 }), /500/],
    ["503", () => new Response("no", { status: 503 }), /503/],
  ];
  for (const [name, answer, expected] of bad) {
    for (const transport of ["streamablehttp", "sse", undefined]) {
      test(`${name} with ${transport ?? "a detected transport"}: an error, no hang`, async () => {
        await using far = remote(answer);
        await using run = start([...(transport === undefined ? [] : ["--transport", transport]), far.url]);
        expect(await refused(run)).toMatch(expected);
      });
    }
  }

  test("a remote that is down is named, and used when it is there", async () => {
    const port = await remoteOnce();
    await using run = start([`http://127.0.0.1:${port}/mcp`]);
    run.write(INITIALIZE);
    await run.said(/"error".*cannot be reached/);
    expect(run.err()).toContain(`127.0.0.1:${port}`);
    await using _far = remote(undefined, { port });
    run.write(INITIALIZE);
    await run.said(/"serverInfo"/);
    run.write(INITIALIZED, LIST);
    await run.said(/far-tool/);
  }, 20_000);

  test("a remote that restarts costs errors at the most, not the bridge", async () => {
    const first = remote();
    await using run = start([first.url]);
    run.write(INITIALIZE, INITIALIZED, LIST);
    await run.said(/far-tool/);
    await first[Symbol.asyncDispose]();
    run.write('{"jsonrpc":"2.0","id":"down","method":"tools/list"}');
    await run.said(/"id":"down","error"/);
    await using _second = remote(undefined, { port: first.port });
    run.write('{"jsonrpc":"2.0","id":"up","method":"tools/list"}');
    await run.said(/"id":"up","result"/);
    expect(await run.finish()).toBe(0);
  }, 20_000);

  for (const transport of ["streamablehttp", "sse", undefined] as const) {
    test(`a stream of events that drops comes back by itself, with ${transport ?? "a detected transport"}`, async () => {
      const first = speaking(0);
      const flags = transport === undefined ? [] : ["--transport", transport];
      await using run = start([...flags, `${first.url}${transport === "sse" ? "/sse" : "/mcp"}`]);
      run.write(INITIALIZE, INITIALIZED);
      await first.listened;
      first.say('{"jsonrpc":"2.0","method":"notifications/vendor/first"}');
      await run.said(/vendor\/first/);
      await first[Symbol.asyncDispose]();
      // Another life of the server, which knows nothing of the session; the client says nothing.
      await using second = speaking(first.port);
      await second.listened;
      second.say('{"jsonrpc":"2.0","method":"notifications/vendor/second"}');
      await run.said(/vendor\/second/);
      await run.said(/notifications\/tools\/list_changed/);
      run.write(LIST);
      await run.said(/far-tool/);
      expect(await run.finish()).toBe(0);
    }, 30_000);
  }
});

/** A server with sessions and a stream of events, in one of its lives: over Streamable HTTP and over HTTP+SSE. */
function speaking(port: number) {
  const sessions = new Map<string, ReadableStreamDefaultController<string> | undefined>();
  const listened = Promise.withResolvers<void>();
  const stream = (session: string, start: string): Response =>
    new Response(
      new ReadableStream<string>({
        start: (controller) => {
          sessions.set(session, controller);
          controller.enqueue(start);
        },
      }),
      { headers: { "content-type": "text/event-stream" } },
    );
  const event = (text: string): string => `event: message\ndata: ${text}\n\n`;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    idleTimeout: 0,
    async fetch(request) {
      const { pathname, searchParams } = new URL(request.url);
      const sse = pathname !== "/mcp";
      if (request.method === "GET" && pathname === "/sse") {
        const made = crypto.randomUUID();
        return stream(made, `event: endpoint\ndata: /post?session=${made}\n\n`);
      }
      const session = (sse ? searchParams.get("session") : request.headers.get("mcp-session-id")) ?? "";
      const known = sessions.has(session);
      if (request.method === "GET") {
        if (!known) return new Response("no such session", { status: 404 });
        listened.resolve();
        return stream(session, ": open\n\n");
      }
      if (request.method === "DELETE") return new Response(null, { status: 204 });
      const { id, method } = (await request.json()) as { id?: unknown; method: string };
      const starts = method === "initialize" && !sse;
      if (!known && !starts) return new Response("no such session", { status: session === "" ? 400 : 404 });
      if (sse && method === "notifications/initialized") listened.resolve();
      if (id === undefined) return new Response(null, { status: 202 });
      const made = starts ? crypto.randomUUID() : session;
      if (starts) sessions.set(made, undefined);
      const result =
        method === "initialize"
          ? {
              protocolVersion: "2025-06-18",
              capabilities: { tools: { listChanged: true } },
              serverInfo: { name: "far", version: "1" },
            }
          : { tools: [{ name: "far-tool", inputSchema: { type: "object" } }] };
      const answer =
        method === "server/discover"
          ? { jsonrpc: "2.0", id, error: { code: -32601, message: "Method not found" } }
          : { jsonrpc: "2.0", id, result };
      if (sse) {
        sessions.get(session)?.enqueue(event(JSON.stringify(answer)));
        return new Response(null, { status: 202 });
      }
      return Response.json(answer, { headers: { "mcp-session-id": made } });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port as number,
    listened: listened.promise,
    say: (text: string) => {
      for (const controller of sessions.values()) controller?.enqueue(event(text));
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

/** A port that was free a moment ago. */
async function remoteOnce(): Promise<number> {
  await using once = remote();
  return once.port;
}

describe("the end on standard input", () => {
  test("garbage, half lines and wrong messages are answered as errors; what follows still works", async () => {
    await using far = remote();
    await using run = start(["--debug", far.url]);
    run.write("garbage", "{}", "[]", "", INITIALIZE, INITIALIZED);
    await run.said(/"serverInfo"/);
    void run.process.stdin.write(LIST.slice(0, 20));
    void run.process.stdin.flush();
    // Without a line feed at its end.
    void run.process.stdin.write(LIST.slice(20));
    expect(await run.finish()).toBe(0);
    const answers = run
      .out()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { id: unknown; error?: { code: number } });
    expect(answers.slice(0, 3).map(({ id, error }) => [id, error?.code])).toEqual([
      [null, -32700],
      [null, -32600],
      [null, -32600],
    ]);
    expect(answers.at(-1)?.id).toBe(2);
  });

  test("a request before initialize, and a ping", async () => {
    await using far = remote();
    await using run = start([far.url]);
    run.write(LIST, '{"jsonrpc":"2.0","id":"p","method":"ping"}');
    expect(await run.finish()).toBe(0);
    expect(run.out()).toContain('{"jsonrpc":"2.0","id":"p","result":{}}');
    expect(run.out()).toContain("the first request is initialize");
  });

  test("SIGTERM ends it with 0", async () => {
    await using far = remote();
    await using run = start([far.url]);
    run.write(INITIALIZE);
    await run.said(/"serverInfo"/);
    run.process.kill("SIGTERM");
    expect(await run.process.exited).toBe(0);
  });

  test("a client that sends much and reads late loses nothing", async () => {
    await using far = remote();
    await using run = start([far.url]);
    run.write(INITIALIZE, INITIALIZED);
    await run.said(/"serverInfo"/);
    for (let id = 100; id < 400; id++) run.write(`{"jsonrpc":"2.0","id":${id},"method":"tools/list"}`);
    expect(await run.finish()).toBe(0);
    for (let id = 100; id < 400; id++) expect(run.out()).toContain(`"id":${id},"result"`);
  }, 20_000);
});

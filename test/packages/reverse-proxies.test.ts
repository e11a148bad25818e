import { describe, expect } from "bun:test";
import { join } from "node:path";
import { connect, tools } from "../http/client.ts";
import { blocksOf } from "../support/markdown.ts";
import { program, testWith } from "../support/programs.ts";
import { startProxy } from "../support/proxy.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { makeTree } from "../support/tree.ts";
import type { Tree } from "../support/tree.ts";
import { makeCertificate } from "../support/certificate.ts";

const OPENSSL = program("openssl");
const block = (language: string): string =>
  blocksOf("docs/deployment.md").find((each) => each.language === language)?.code ?? "";

function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

/** Waits until somebody listens. */
async function listens(port: number, process: Bun.Subprocess<"ignore", "ignore", "pipe">): Promise<void> {
  const late = Date.now() + 20_000;
  for (;;) {
    if (process.exitCode !== null) throw new Error(await process.stderr.text());
    if (
      await fetch(`http://127.0.0.1:${port}/livez`).then(
        () => true,
        () => false,
      )
    )
      return;
    if (Date.now() > late) throw new Error(`nothing listens on ${port}`);
    await Bun.sleep(50);
  }
}

/** What a configuration in front of the proxy must let through. */
async function through(base: string, proxy: RunningProxy): Promise<void> {
  const host = { Host: "mcp.example.com" };
  const client = await connect(`${base}/one/mcp`, host);
  expect(await client.call("echo", { text: "x".repeat(300_000) })).toContain("x".repeat(300_000));
  // A stream: what is said before the answer comes before it, and not with it.
  const stream = await client.fetch(
    "POST",
    JSON.stringify({
      jsonrpc: "2.0",
      id: 7,
      method: "tools/call",
      params: { name: "talk", arguments: {}, _meta: { progressToken: 1 } },
    }),
  );
  expect(stream.headers.get("content-type")).toContain("text/event-stream");
  await stream.text();
  const listening = await client.fetch("GET");
  expect(listening.status).toBe(200);
  const reader = listening.body?.getReader();
  const first = reader?.read();
  await client.call("change");
  const { value } = (await first) ?? {};
  expect(new TextDecoder().decode(value).length).toBeGreaterThan(0);
  await reader?.cancel();
  const page = await fetch(`${base}/`, { headers: { ...host, Accept: "text/html" } });
  expect(await page.text()).toContain("MCP gateway");
  // Somebody behind it is not on this machine.
  const health = await fetch(`${base}/health`, { headers: host });
  expect(await health.json()).not.toHaveProperty("servers");
  expect(proxy.url).toContain("127.0.0.1");
}

async function startBehind(): Promise<RunningProxy> {
  return await startProxy({ one: tools() }, { mcpProxy: { baseURL: "https://mcp.example.com" } });
}

describe("the manual's configurations for reverse proxies let everything through", () => {
  testWith(
    program("nginx"),
    "nginx",
    async (nginx) => {
      await using tree: Tree = await makeTree();
      await using proxy = await startBehind();
      const certificate = await makeCertificate(OPENSSL.path ?? "", tree.path);
      const port = freePort();
      // Its address, its certificate, and who listens behind it; all else is as it is printed.
      const server = block("nginx")
        .replace("listen 443 ssl;", `listen 127.0.0.1:${port};`)
        .replace("  http2 on;\n", "")
        .replaceAll(/ {2}ssl_certificate.*\n/g, "")
        .replace("127.0.0.1:9090", `127.0.0.1:${proxy.port}`);
      expect(certificate.file).not.toBe("");
      await tree.write(
        "nginx.conf",
        `daemon off; pid ${tree.path}/pid; error_log stderr; events {} http { access_log off; client_body_temp_path ${tree.path}/b; proxy_temp_path ${tree.path}/p; fastcgi_temp_path ${tree.path}/f; uwsgi_temp_path ${tree.path}/u; scgi_temp_path ${tree.path}/s;\n${server}\n}`,
      );
      await using child = Bun.spawn([nginx, "-c", join(tree.path, "nginx.conf")], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
      });
      try {
        await listens(port, child);
        await through(`http://127.0.0.1:${port}`, proxy);
      } finally {
        // Its fast way to stop: killed, it would leave its workers behind.
        child.kill("SIGTERM");
        await child.exited;
      }
    },
    60_000,
  );
  testWith(
    program("caddy"),
    "Caddy",
    async (caddy) => {
      await using tree: Tree = await makeTree();
      await using proxy = await startBehind();
      const port = freePort();
      const site = block("caddy")
        .replace("mcp.example.com {", `http://127.0.0.1:${port}, http://mcp.example.com:${port} {\n  bind 127.0.0.1`)
        .replace("127.0.0.1:9090", `127.0.0.1:${proxy.port}`);
      await tree.write("Caddyfile", `{\n  admin off\n  auto_https off\n}\n${site}`);
      const env = { PATH: process.env["PATH"], HOME: tree.path };
      await using child = Bun.spawn(
        [caddy, "run", "--config", join(tree.path, "Caddyfile"), "--adapter", "caddyfile"],
        { env, stdin: "ignore", stdout: "ignore", stderr: "pipe" },
      );
      await listens(port, child);
      await through(`http://127.0.0.1:${port}`, proxy);
      // Its own way to stop waits for streams.
      child.kill("SIGKILL");
      await child.exited;
    },
    60_000,
  );
});

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { client, destination, openPage, startLogin, submit } from "./login.ts";

const PACKAGE = dirname(Bun.resolveSync("@modelcontextprotocol/conformance/package.json", import.meta.dir));

interface Check {
  readonly id: string;
  readonly status: string;
}

/** Runs the official suite against the authorization server; a person logs in where it asks for one. */
async function suite(): Promise<Check[]> {
  await using proxy = await startLogin();
  const free = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const port = String(free.port);
  await free.stop(true);
  const { client_id } = await client(proxy.url, { redirect_uris: [`http://127.0.0.1:${port}/callback`] });
  const results = mkdtempSync(join(tmpdir(), "mcp-proxy-conformance-"));
  const issuer = `http://localhost:${proxy.port}`;
  const child = Bun.spawn(
    [
      process.execPath,
      join(PACKAGE, "dist", "index.js"),
      "authorization",
      ...["--url", issuer, "--client-id", client_id, "--port", port, "--output-dir", results],
      ...["--resource", `${issuer}/a/mcp`],
    ],
    { stdout: "pipe", stderr: "pipe" },
  );
  let said = "";
  let asked = false;
  const read = async (stream: ReadableStream<Uint8Array>): Promise<void> => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      said += decoder.decode(chunk, { stream: true });
      const address = /http:\/\/localhost:\d+\/oauth\/authorize\?\S+(?=\s)/.exec(said)?.[0];
      if (address === undefined || asked) continue;
      asked = true;
      await fetch(await destination(await submit(proxy.url, await openPage(address))));
    }
  };
  try {
    await Promise.all([read(child.stdout), read(child.stderr), child.exited]);
    const files = await Array.fromAsync(new Bun.Glob("**/checks.json").scan(results));
    const checks = await Promise.all(
      files.map(async (file) => (await Bun.file(join(results, file)).json()) as Check[]),
    );
    if (files.length === 0) throw new Error(`no result:\n${said}`);
    return checks.flat();
  } finally {
    rmSync(results, { recursive: true });
  }
}

test("the official suite passes, both scenarios of it", async () => {
  const checks = await suite();
  const passed = checks.filter(({ status }) => status === "SUCCESS").map(({ id }) => id);
  for (const id of ["authorization-server-metadata", "authorization-code-grant"]) expect(passed).toContain(id);
  expect(checks.filter(({ status }) => status !== "SUCCESS" && status !== "INFO")).toEqual([]);
});

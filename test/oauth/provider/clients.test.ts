import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate } from "../../support/certificate.ts";
import type { Certificate } from "../../support/certificate.ts";
import { startBehind } from "../../support/behind-provider.ts";
import { startIdentityProvider } from "../../support/identity-provider.ts";
import type { IdentityProvider } from "../../support/identity-provider.ts";
import { program, testWith } from "../../support/programs.ts";
import type { RunningProxy } from "../../support/proxy.ts";
import { tools } from "../../http/client.ts";
import { useMcpRemote } from "../mcp-remote.ts";
import { useFirstGeneration, useSecondGeneration } from "../sdk-clients.ts";
import { Person } from "./person.ts";
import type { Place } from "./person.ts";

const OPENSSL = program("openssl").path;
const ROOT = join(import.meta.dir, "../../..");
const EVERYTHING = join(ROOT, "node_modules/@modelcontextprotocol/server-everything/dist/index.js");

const uvx = program("uvx");

describe.skipIf(OPENSSL === undefined)("real clients through a provider (needs openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "provider-clients-"));
  let certificate: Certificate;
  let provider: IdentityProvider;
  let proxy: RunningProxy;

  beforeAll(async () => {
    certificate = await makeCertificate(OPENSSL ?? "", directory);
    const people = { "auth0|1": { email: "you@example.com", email_verified: true } };
    provider = await startIdentityProvider({ certificate, people });
    proxy = await startBehind(
      { issuer: provider.issuer, certificate },
      { a: tools(), everything: { command: process.execPath, args: [EVERYTHING] } },
      { users: { "*@example.com": {} } },
    );
    provider.redirectUris.push(`http://localhost:${proxy.port}/auth/callback`);
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  /** Allows on our page and logs in at the provider. */
  const visit = async (address: string | URL): Promise<Place> => {
    const person = new Person(certificate.cert);
    const there = await person.submit(await person.open(address), { action: "allow" });
    return await person.submit(there, { login: "auth0|1" });
  };
  const url = (): URL => new URL(`${proxy.url}/a/mcp`);

  test("both generations of the TypeScript SDK", async () => {
    await useFirstGeneration(url(), async (page) => (await visit(page)).url);
    await useSecondGeneration(url(), async (page) => (await visit(page)).url);
  });

  test("mcp-remote", async () => {
    await useMcpRemote(url().href, async (address) => {
      expect((await visit(address)).status).toBe(200);
    });
  });

  testWith(
    uvx,
    "the Python SDK",
    async () => {
      using person = Bun.serve({
        port: 0,
        hostname: "127.0.0.1",
        fetch: async (request) =>
          new Response((await visit(new URL(request.url).searchParams.get("address") ?? "")).url.href),
      });
      const script = join(import.meta.dir, "../python-client.py");
      const command = ["uv", "run", "--no-project", "--with", "mcp<2", "--with", "httpx", "python", script];
      const child = Bun.spawn([...command, `${proxy.url}/everything/mcp`, "sdk", person.url.href], {
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
      expect([out.trim(), out === "" ? errors : ""]).toEqual(["Echo: from Python", ""]);
    },
    240_000,
  );
});

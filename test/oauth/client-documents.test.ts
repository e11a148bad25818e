import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClientDocuments } from "../../src/oauth/client-documents.ts";
import type { DocumentsConfig } from "../../src/oauth/client-documents.ts";
import type { Fetched } from "../../src/oauth/pinned-fetch.ts";
import { isPublicAddress } from "../../src/oauth/special-addresses.ts";
import { systemClock } from "../../src/telemetry/clock.ts";
import { makeCertificate } from "../support/certificate.ts";
import { program } from "../support/programs.ts";
import type { RunningProxy } from "../support/proxy.ts";
import { CALLBACK, authorizeUrl, callStatus, logIn, failure, openPage, pkce, refresh, startLogin } from "./login.ts";

const OPENSSL = program("openssl").path;
const ID = "https://app.example.com/client.json";
const CONFIG: DocumentsConfig = { enabled: true, allowedHosts: [], allowPrivateNetwork: false, restricted: false };
const POLICY = { extra: [], anyHttps: false };

/** Documents from a table instead of the network. */
function documents(
  table: Record<string, unknown>,
  config: Partial<DocumentsConfig> = {},
  headers: Fetched["headers"] = {},
): { found: ClientDocuments; fetched: string[]; time: { now: number } } {
  const fetched: string[] = [];
  const time = { now: 1_000 };
  const fetch = async (url: URL): Promise<Fetched> => {
    fetched.push(url.href);
    await Promise.resolve();
    const document = table[url.href];
    if (document === undefined) throw new Error("it answered with status 404");
    return { body: typeof document === "string" ? document : JSON.stringify(document), headers };
  };
  return {
    found: new ClientDocuments({ ...CONFIG, ...config }, POLICY, { ...systemClock, now: () => time.now }, fetch),
    fetched,
    time,
  };
}

const GOOD = { client_id: ID, client_name: "App", redirect_uris: [CALLBACK] };

describe("20 and 21: documents about clients", () => {
  test("what a document must be like", async () => {
    expect((await documents({ [ID]: GOOD }).found.find(ID)).metadata.client_name).toBe("App");
    const wrong: unknown[] = [
      { ...GOOD, client_id: `${ID}?` },
      { ...GOOD, client_id: undefined },
      { ...GOOD, redirect_uris: undefined },
      { ...GOOD, redirect_uris: ["https://evil.example/"] },
      { ...GOOD, redirect_uris: ["javascript:alert(1)"] },
      { ...GOOD, client_secret: "x" },
      { ...GOOD, token_endpoint_auth_method: "client_secret_post" },
      { ...GOOD, client_name: "a\u202eb" },
      [],
      "null",
      "{",
    ];
    for (const document of wrong)
      expect(await failure(documents({ [ID]: document }).found.find(ID))).toContain("is wrong");
  });

  test("which addresses are looked at", async () => {
    const bad = [
      "https://app.example.com",
      "https://app.example.com/",
      "https://user@app.example.com/x",
      "https://app.example.com/x#y",
      "https://app.example.com/a/../b",
      "https://APP.example.com/x",
      "https://app.example.com:443/x",
      "https://app.example.com/./x",
    ];
    const { found, fetched } = documents({});
    for (const id of bad) expect(await failure(found.find(id))).toContain("cannot be used");
    expect(fetched).toEqual([]);
    expect(found.isAddress("http://app.example.com/x")).toBeFalse();
    expect(await failure(documents({ [ID]: GOOD }, { enabled: false }).found.find(ID))).toContain("not accepted");
  });

  test("asked once at a time, kept as its headers say up to a cap, errors not at all", async () => {
    const { found, fetched, time } = documents({ [ID]: GOOD }, {}, { "cache-control": "max-age=999999999" });
    await Promise.all(Array.from({ length: 5 }, () => found.find(ID)));
    time.now += 23 * 3_600_000;
    await found.find(ID);
    expect(fetched).toHaveLength(1);
    time.now += 2 * 3_600_000;
    await found.find(ID);
    expect(fetched).toHaveLength(2);
    const never = documents({ [ID]: GOOD }, {}, { "cache-control": "no-store" });
    await never.found.find(ID);
    await never.found.find(ID);
    expect(never.fetched).toHaveLength(2);
    const failing = documents({});
    for (let i = 0; i < 2; i++) expect(await failure(failing.found.find(ID))).toContain("cannot be had");
    expect(failing.fetched).toHaveLength(2);
  });

  test("22: whose documents are trusted", async () => {
    const claude = "https://claude.ai/oauth/client.json";
    const table = { [ID]: GOOD, [claude]: { ...GOOD, client_id: claude } };
    const restricted = documents(table, { restricted: true }).found;
    expect(await failure(restricted.find(ID))).toContain("not on the list");
    expect((await restricted.find(claude)).verifiedHost).toBe("claude.ai");
    const listed = documents(table, { restricted: true, allowedHosts: ["app.example.com"] }).found;
    expect((await listed.find(ID)).id).toBe(ID);
    expect(await failure(listed.find(claude))).toContain("not on the list");
  });

  test("which addresses are on the public internet", () => {
    for (const address of ["8.8.8.8", "160.79.104.1", "2606:4700::1111"])
      expect([address, isPublicAddress(address)]).toEqual([address, true]);
    const special = [
      "127.0.0.1",
      "10.1.2.3",
      "172.16.0.1",
      "192.168.1.1",
      "169.254.169.254",
      "100.64.0.1",
      "0.0.0.0",
      "224.0.0.1",
      "255.255.255.255",
      "192.0.2.1",
      "198.18.0.1",
      "203.0.113.5",
      "::1",
      "::",
      "fe80::1",
      "fc00::1",
      "ff02::1",
      "2001:db8::1",
      "::ffff:127.0.0.1",
      "::ffff:10.0.0.1",
      "64:ff9b::7f00:1",
      "2002:7f00:1::",
      "nonsense",
    ];
    for (const address of special) expect([address, isPublicAddress(address)]).toEqual([address, false]);
  });
});

describe.skipIf(OPENSSL === undefined)("20: over the network (needs openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "mcp-proxy-documents-"));
  let site: Bun.Server<undefined>;
  let asked: string[] = [];
  let trusting: RunningProxy;
  let strict: RunningProxy;
  const at = (path: string): string => `https://localhost:${site.port}${path}`;

  beforeAll(async () => {
    const { file, cert, key } = await makeCertificate(OPENSSL ?? "", directory);
    site = Bun.serve({
      port: 0,
      hostname: "localhost",
      tls: { cert, key },
      fetch: (request) => {
        const { pathname } = new URL(request.url);
        asked.push(pathname);
        const document = { client_id: at(pathname), client_name: "Document app", redirect_uris: [CALLBACK] };
        if (pathname === "/moved") return Response.json(document, { status: 302, headers: { Location: at("/good") } });
        if (pathname === "/html") return new Response("<html>", { headers: { "Content-Type": "text/html" } });
        if (pathname === "/large") return Response.json({ ...document, x: "x".repeat(100_000) });
        if (pathname === "/missing")
          return new Response("{}", { status: 404, headers: { "Content-Type": "application/json" } });
        if (pathname === "/slow") return new Promise<Response>(() => undefined);
        return Response.json(document);
      },
    });
    const env = { NODE_EXTRA_CA_CERTS: file };
    trusting = await startLogin({ clientIdMetadata: { allowPrivateNetwork: true } }, { env });
    strict = await startLogin({}, { env });
  });
  afterAll(async () => {
    await trusting[Symbol.asyncDispose]();
    await strict[Symbol.asyncDispose]();
    await site.stop(true);
    rmSync(directory, { recursive: true });
  });

  const page = (proxy: RunningProxy, id: string): Promise<{ response: Response; html: string }> =>
    openPage(authorizeUrl(proxy.url, { client_id: id, code_challenge: pkce().challenge }));

  test("a client known by its document logs in, refreshes, and the page says whose it is", async () => {
    expect((await page(trusting, at("/good"))).html).toContain(`<strong>localhost:${site.port}</strong>`);
    const tokens = await logIn(trusting.url, {}, at("/good"));
    expect(await callStatus(`${trusting.url}/a/mcp`, tokens.access_token)).toBe(200);
    expect((await refresh(trusting.url, tokens)).status).toBe(200);
  });

  test("redirects, other types, large, missing and slow documents are refused, in words", async () => {
    for (const path of ["/moved", "/html", "/large", "/missing", "/slow"]) {
      const { response, html } = await page(trusting, at(path));
      expect([path, response.status]).toEqual([path, 400]);
      expect(html).toContain("cannot be had");
    }
    expect(asked.filter((path) => path === "/good").length).toBeLessThan(3);
  });

  test("nothing on this machine is reached without permission, however it is written", async () => {
    asked = [];
    const { port } = site;
    for (const host of [
      "localhost",
      "127.0.0.1",
      "[::1]",
      "127.1",
      "2130706433",
      "0x7f000001",
      "0177.0.0.1",
      "[::ffff:127.0.0.1]",
      "localhost.",
    ]) {
      const { response } = await page(strict, `https://${host}:${port}/good`);
      expect([host, response.status]).toEqual([host, 400]);
    }
    expect(asked).toEqual([]);
  });
});

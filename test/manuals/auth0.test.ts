import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AUDIENCE } from "../support/bare-provider.ts";
import { makeCertificate } from "../support/certificate.ts";
import type { Certificate } from "../support/certificate.ts";
import { CLIENT_ID, CLIENT_SECRET } from "../support/behind-provider.ts";
import { startIdentityProvider } from "../support/identity-provider.ts";
import type { IdentityProvider } from "../support/identity-provider.ts";
import { program } from "../support/programs.ts";
import { HttpClient, tools } from "../http/client.ts";
import { callStatus, failure, refresh } from "../oauth/login.ts";
import { ask, logInThrough, Person, through } from "../oauth/provider/person.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const OPENSSL = program("openssl").path;

const PEOPLE = {
  "auth0|1": { email: "your-email@example.com", email_verified: true },
  "auth0|2": { email: "friend@example.com", email_verified: true },
  "auth0|3": { email: "stranger@example.com", email_verified: true },
};

/** A directory with the files the manual of the Python program prints, started as it says: without any argument. */
class PrintedSetup implements AsyncDisposable {
  readonly url: string;
  readonly directory: string;
  readonly #process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly #port: number;
  output = "";
  #heard = Promise.withResolvers<void>();

  constructor(directory: string, certificate: Certificate, port: number) {
    this.directory = directory;
    this.#port = port;
    this.url = `http://localhost:${port}`;
    this.#process = Bun.spawn([process.execPath, MAIN], {
      cwd: directory,
      env: { PATH: process.env["PATH"], HOME: directory, NODE_EXTRA_CA_CERTS: certificate.file, NO_COLOR: "1" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) void this.#listen(stream);
  }

  async ready(): Promise<this> {
    await Promise.race([
      this.said(`:${this.#port}`),
      this.#process.exited.then((code) => Promise.reject(new Error(`it ended with ${code}:\n${this.output}`))),
    ]);
    return this;
  }

  async said(text: string): Promise<void> {
    while (!this.output.includes(text)) await this.#heard.promise;
  }

  async #listen(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.output += decoder.decode(chunk, { stream: true });
      this.#heard.resolve();
      this.#heard = Promise.withResolvers();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }
}

describe.skipIf(OPENSSL === undefined)("the Auth0 set-up of the manual, at another provider (needs openssl)", () => {
  const directory = mkdtempSync(join(tmpdir(), "auth0-"));
  let certificate: Certificate;
  let provider: IdentityProvider;
  let proxy: PrintedSetup;
  const person = (): Person => new Person(certificate.cert);
  let port: number;

  beforeAll(async () => {
    certificate = await makeCertificate(OPENSSL ?? "", directory);
    provider = await startIdentityProvider({ certificate, people: PEOPLE, secretBy: "client_secret_post" });
    const probe = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    port = probe.port ?? 0;
    await probe.stop(true);
    mkdirSync(join(directory, "data"));
    writeFileSync(
      join(directory, "mcp_config.json"),
      JSON.stringify({ mcpServers: { filesystem: tools(), time: tools() } }),
    );
    writeFileSync(
      join(directory, ".env"),
      `AUTH0_CLIENT_ID=${CLIENT_ID}
AUTH0_CLIENT_SECRET=${CLIENT_SECRET}
AUTH0_DOMAIN=${provider.domain}
AUTH0_AUDIENCE=${AUDIENCE}
MCP_AUTH_PROVIDER=oauth_proxy
MCP_BASE_URL=http://localhost:${port}
MCP_HOST=127.0.0.1
MCP_PORT=${port}
MCP_USERS_PATH=./data/users.json
MCP_AUTH_CONFIG_PATH=./data/auth_config.json
`,
    );
    writeFileSync(
      join(directory, "data/users.json"),
      JSON.stringify({
        "your-email@example.com": { name: "Your Name", roles: ["admin"], allowed_tools: ["*"] },
        "friend@example.com": { name: "Friend Name", roles: ["user"], allowed_tools: ["filesystem:*", "time:echo"] },
      }),
    );
    provider.redirectUris.push(`http://localhost:${port}/auth/callback`);
    proxy = await new PrintedSetup(directory, certificate, port).ready();
  });
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  const names = async (path: string, token: string): Promise<string[]> => {
    const client = new HttpClient(proxy.url + path, { Authorization: `Bearer ${token}` });
    await client.initialize();
    const { last } = await client.request("tools/list");
    return ((last.result?.["tools"] ?? []) as { name: string }[]).map(({ name }) => name);
  };

  test("without a token: 401 and where to log in, health needs none", async () => {
    const response = await fetch(`${proxy.url}/filesystem/mcp`, { method: "POST" });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toContain("resource_metadata=");
    expect((await fetch(`${proxy.url}/health`)).status).toBe(200);
    for (const name of ["oauth-protected-resource", "oauth-authorization-server"])
      expect((await fetch(`${proxy.url}/.well-known/${name}`)).status).toBe(200);
  });

  test("the login goes through the provider, and what each may use holds", async () => {
    const yours = await logInThrough(proxy.url, person(), "auth0|1");
    expect(await names("/time/mcp", yours.access_token)).toContain("secret");
    const friends = await logInThrough(proxy.url, person(), "auth0|2");
    expect(await names("/filesystem/mcp", friends.access_token)).toContain("secret");
    expect(await names("/time/mcp", friends.access_token)).toEqual(["echo"]);
    // The one URL the manual has people enter: all servers, with what each may use of them.
    const all = await names("/mcp", friends.access_token);
    expect(all.filter((name) => name.startsWith("time_"))).toEqual(["time_echo"]);
    expect(all).toContain("filesystem_secret");
    expect(await names("/mcp", yours.access_token)).toContain("time_secret");
    expect(provider.asked.at(-1)?.get("audience")).toBe(AUDIENCE);
    expect(provider.exchanged.at(-1)?.get("audience")).toBe(AUDIENCE);
    expect((await through(await ask(proxy.url, person()), "auth0|3")).status).toBe(403);
  });

  test("a token of the provider itself is one too", async () => {
    const token = await provider.sign({ sub: "auth0|2", email: "friend@example.com", email_verified: true });
    expect(await names("/time/mcp", token)).toEqual(["echo"]);
    expect((await names("/mcp", token)).filter((name) => name.startsWith("time_"))).toEqual(["time_echo"]);
    const status = await fetch(`${proxy.url}/status`, { headers: { Authorization: `Bearer ${token}` } });
    expect(status.status).toBe(200);
  });

  test("auth_config.json was made, is read at the next start, and logins survive it", async () => {
    const file = join(directory, "data/auth_config.json");
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ auth0: { issuer: "https://${AUTH0_DOMAIN}/" } });
    const tokens = await logInThrough(proxy.url, person(), "auth0|1");
    await proxy[Symbol.asyncDispose]();
    proxy = await new PrintedSetup(directory, certificate, port).ready();
    expect(await callStatus(`${proxy.url}/time/mcp`, tokens.access_token)).toBe(200);
    expect((await refresh(proxy.url, tokens)).status).toBe(200);
    await logInThrough(proxy.url, person(), "auth0|1");
    const token = await provider.sign({ sub: "auth0|1", email: "your-email@example.com", email_verified: true });
    expect(await callStatus(`${proxy.url}/time/mcp`, token)).toBe(200);
  });

  test("nothing the provider gave is in a file", async () => {
    const state = join(directory, ".mcpproxy");
    const files = await Array.fromAsync(new Bun.Glob("**/*").scan({ cwd: state, dot: true }));
    const everything =
      files.map((name) => readFileSync(join(state, name)).toString("latin1")).join("\n") + proxy.output;
    expect(provider.given.length).toBeGreaterThan(0);
    for (const token of provider.given) expect(everything.includes(token)).toBe(false);
  });

  test("a variable that is missing ends the start with its name", async () => {
    writeFileSync(
      join(directory, ".env"),
      readFileSync(join(directory, ".env"), "utf8").replace(/^AUTH0_CLIENT_ID=.*$/m, ""),
    );
    expect(await failure(new PrintedSetup(directory, certificate, port + 1).ready())).toMatch(
      /it ended with 1:[^]*AUTH0_CLIENT_ID/,
    );
  });
});

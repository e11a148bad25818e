import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readUsersFile } from "../../src/config/access-files.ts";
import { root } from "../support/tree.ts";
import { directory, good, lines, load } from "./helpers.ts";

const DOCUMENT = readFileSync(join(root, "docs/identity-providers.md"), "utf8");
const block = (kind: string): string => new RegExp(`\`\`\`${kind}\n([^]*?)\`\`\``).exec(DOCUMENT)?.[1] ?? "";

test("the configuration that the document prints is one", async () => {
  using dir = directory({ "config.json": block("jsonc") });
  const env = { PROVIDER_CLIENT_ID: "id", PROVIDER_CLIENT_SECRET: "secret" };
  const loaded = await load({ kind: "location", location: "config.json" }, { cwd: dir.path, env });
  expect(good(loaded)).toMatchObject({
    usersFile: "/data/users.json",
    identityProvider: { clientId: "id", audience: "https://mcp.example.com", scopes: ["openid", "email", "profile"] },
  });
});

test("so is its users file", () => {
  using dir = directory({ "users.json": block("json") });
  const { entries, problems } = readUsersFile(join(dir.path, "users.json"));
  expect([entries?.size, problems]).toEqual([3, []]);
});

test.each(["http://sso.example.com/", "ftp://sso.example.com", "https://a:b@sso.example.com", "sso.example.com"])(
  "an issuer that secrets must not be sent to: %s",
  async (issuer) => {
    const config = { mcpProxy: { identityProvider: { issuer, clientId: "x" } }, mcpServers: { a: { command: "x" } } };
    using dir = directory({ "config.json": config });
    const loaded = await load({ kind: "location", location: "config.json" }, { cwd: dir.path, env: {} });
    expect(loaded.config).toBeUndefined();
    expect(lines(loaded).join()).toContain("mcpProxy.identityProvider.issuer: expected an https URL");
  },
);

test("a provider that would protect nothing is a mistake", async () => {
  const identityProvider = { issuer: "https://sso.example.com", clientId: "x" };
  const config = { mcpProxy: { type: "sse", identityProvider }, mcpServers: { a: { command: "x" } } };
  using dir = directory({ "config.json": config });
  const loaded = await load({ kind: "location", location: "config.json" }, { cwd: dir.path, env: {} });
  expect(lines(loaded).join()).toContain("identityProvider protects nothing with type");
});

test("another address of the keys than the printed one is used", async () => {
  const env = {
    MCP_AUTH_PROVIDER: "oauth_proxy",
    AUTH0_DOMAIN: "https://t.example.com/",
    AUTH0_CLIENT_ID: "id",
    AUTH0_CLIENT_SECRET: "s3cret",
    AUTH0_AUDIENCE: "https://api",
    MCP_BASE_URL: "https://mcp.example.com",
    MCP_AUTH_CONFIG_PATH: "auth.json",
  };
  const settings = (jwks_uri: string): object => ({
    provider: "auth0",
    auth0: { domain: "${AUTH0_DOMAIN}", issuer: "https://${AUTH0_DOMAIN}/", jwks_uri, audience: "${AUTH0_AUDIENCE}" },
  });
  for (const [written, used] of [
    ["https://${AUTH0_DOMAIN}/.well-known/jwks.json", undefined],
    ["https://${AUTH0_DOMAIN}/keys", "https://t.example.com/keys"],
  ] as const) {
    const files = { "mcp_config.json": { mcpServers: { a: { command: "x" } } }, "auth.json": settings(written) };
    using dir = directory(files);
    const loaded = await load({ kind: "discover" }, { cwd: dir.path, env });
    expect(good(loaded).identityProvider).toMatchObject({ issuer: "https://t.example.com/", kind: "auth0" });
    expect(good(loaded).identityProvider?.jwksUri).toBe(used);
  }
});

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { replaced, startGateway } from "./gateway.ts";

/** What the manuals of the Python gateway with logins promise of its files, variables and URLs, shown with its own. */

const CONFIG = `{
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem", "/data"]
    },
    "time": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-time"]
    }
  }
}`;

const USERS = `{
  "user@example.com": {
    "name": "User Name",
    "roles": ["admin"],
    "allowed_tools": ["*"]
  },
  "friend@example.com": {
    "name": "Friend Name",
    "roles": ["user"],
    "allowed_tools": ["filesystem:*", "time:*"]
  }
}`;

const ENV = `# Auth0 Credentials
AUTH0_CLIENT_ID=your-client-id-from-step-1
AUTH0_CLIENT_SECRET=your-client-secret-from-step-1
AUTH0_DOMAIN=your-tenant.us.auth0.com
AUTH0_AUDIENCE=https://your-mcp-api

# MCP Proxy Configuration
MCP_AUTH_PROVIDER=oauth_proxy
MCP_BASE_URL=https://your-domain.com
MCP_USERS_PATH=/data/users.json
MCP_AUTH_CONFIG_PATH=/data/auth_config.json
`;

/** Paths of the image, as they are in a test's directory; and a tenant that nobody has to reach. */
const env = (text = ENV): string =>
  replaced(text, {
    "/data/": "data/",
    "your-tenant.us.auth0.com": "127.0.0.1:9",
    "https://your-domain.com": "http://localhost:8080",
  });

const FILES = { "mcp_config.json": replaced(CONFIG), ".env": env(), "data/users.json": USERS };

describe("the quick start", () => {
  test("wants a login at every URL, publishes where, and answers /health to everybody", async () => {
    await using gateway = await startGateway({ files: FILES });
    const { url } = gateway;
    for (const path of ["/mcp", "/mcp/", "/sse", "/filesystem/mcp", "/time/mcp", "/time/sse"]) {
      const response = await fetch(url + path, { method: path.endsWith("sse") ? "GET" : "POST" });
      expect([path, response.status]).toEqual([path, 401]);
      expect(response.headers.get("www-authenticate")).toContain("/.well-known/oauth-protected-resource");
    }
    const server = (await (await fetch(`${url}/.well-known/oauth-authorization-server`)).json()) as Record<
      string,
      unknown
    >;
    expect(server).toMatchObject({
      issuer: "http://localhost:8080",
      registration_endpoint: expect.any(String),
      authorization_endpoint: expect.any(String),
      token_endpoint: expect.any(String),
      code_challenge_methods_supported: ["S256"],
    });
    for (const path of ["", "/mcp"]) {
      const resource = await fetch(`${url}/.well-known/oauth-protected-resource${path}`);
      expect([path, resource.status]).toEqual([path, 200]);
    }
    const health = (await (await fetch(`${url}/health`)).json()) as Record<string, unknown>;
    expect(health).toEqual({
      status: "healthy",
      service: "mcp-proxy",
      version: expect.any(String),
      servers: ["filesystem", "time"],
      path_prefix: null,
    });
    expect(await gateway.stop()).toBe(0);
  });

  test("auth_config.json is made where there is none, with the names of the variables and no secret", async () => {
    await using gateway = await startGateway({ files: FILES });
    await gateway.logged("auth_config.json was made");
    const path = join(gateway.directory, "data/auth_config.json");
    const text = readFileSync(path, "utf8");
    expect(JSON.parse(text)).toEqual({
      provider: "auth0",
      auth0: {
        domain: "${AUTH0_DOMAIN}",
        jwks_uri: "https://${AUTH0_DOMAIN}/.well-known/jwks.json",
        issuer: "https://${AUTH0_DOMAIN}/",
        audience: "${AUTH0_AUDIENCE}",
      },
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test("that is there is read and left as it is", async () => {
    const own = '{"provider":"auth0","auth0":{"domain":"${OTHER}","audience":"https://b"}}';
    await using gateway = await startGateway({
      files: { ...FILES, "data/auth_config.json": own },
      env: { OTHER: "127.0.0.1:9" },
    });
    expect(readFileSync(join(gateway.directory, "data/auth_config.json"), "utf8")).toBe(own);
  });

  test("without a users file it starts, lets nobody in, and names the path", async () => {
    const { "data/users.json": _, ...files } = FILES;
    await using gateway = await startGateway({ files });
    const line = await gateway.logged("the file of users cannot be used");
    expect(line).toContain("data/users.json");
    expect(line).toContain("does not exist");
    expect(line).toContain("lets nobody in");
    expect(existsSync(join(gateway.directory, "data/users.json"))).toBeFalse();
  });

  test.each(["AUTH0_DOMAIN", "AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_AUDIENCE", "MCP_BASE_URL"])(
    "without %s it ends with exit code 1 and its name",
    async (name) => {
      const text = env().replace(new RegExp(`^${name}=.*$`, "m"), "");
      await using gateway = await startGateway({ files: { ...FILES, ".env": text }, silent: true });
      expect(await gateway.exited).toBe(1);
      expect(gateway.log.join("\n")).toContain(`${name} is not set`);
    },
  );
});

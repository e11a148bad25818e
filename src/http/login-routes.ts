import type { Context, Hono } from "hono";
import type { AuthorizationServer } from "../oauth/authorization-server.ts";
import type { Visitor } from "../oauth/visitor.ts";
import type { Peer } from "../http1/incoming.ts";
import { isDirectLoopback } from "./client-address.ts";
import type { ClientAddress } from "./client-address.ts";
import { pathOf } from "./paths.ts";
import type { PathTable } from "./paths.ts";

export interface LoginEnv {
  Bindings: { readonly peer: Peer };
}

const WELL_KNOWN = "/.well-known/";
const CALLBACK = "/auth/callback";
const CALLBACK_STYLE = "/auth/style.css";
const RESOURCE = "oauth-protected-resource";
const SERVER = "oauth-authorization-server";

/** What scripts of any site may ask: nothing here looks at a cookie. */
const CORS = {
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Expose-Headers": "WWW-Authenticate, Retry-After",
};
export const METADATA_HEADERS = { ...CORS, "Cache-Control": "no-store" };
const PREFLIGHT = {
  ...CORS,
  "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
  "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, MCP-Protocol-Version",
  "Access-Control-Max-Age": "600",
};

/**
 * The path a page is found by. Metadata of a proxy below a path is asked for at the root of the host, with the path
 * behind the well-known part (RFC 8414 section 3.1, RFC 9728 section 3.1), so it is left whole.
 */
export function pagePath(path: string, paths: PathTable, login: AuthorizationServer | undefined): string {
  if (path.startsWith(WELL_KNOWN)) return path;
  // The provider knows this one address, which a secret prefix is no part of.
  if (login?.byProvider !== undefined) {
    if (path === CALLBACK || path === login.urls.providerCallbackPath) return CALLBACK;
    if (path === CALLBACK_STYLE || path === login.urls.providerStyle) return CALLBACK_STYLE;
  }
  // What looks after a container asks there, and knows of no prefix.
  return paths.local(path) ?? (path === "/health" ? path : "/404");
}

/** Every route of the login. OAuth's own paths, and the bare ones of clients that do not read metadata. */
export function addLoginRoutes(
  app: Hono<LoginEnv>,
  server: AuthorizationServer,
  paths: PathTable,
  addresses: ClientAddress,
): void {
  const visitor = (c: Context<LoginEnv>): Visitor => {
    const peer = c.env.peer.address;
    return { address: addresses.of(peer, c.req.raw.headers), direct: isDirectLoopback(peer, c.req.raw.headers) };
  };
  const shared = async (answer: Promise<Response>): Promise<Response> => {
    const response = await answer;
    for (const [name, value] of Object.entries(CORS)) response.headers.set(name, value);
    return response;
  };

  for (const base of ["/oauth", ""]) {
    app.post(`${base}/register`, (c) => shared(server.endpoints.register(c.req.raw, visitor(c))));
    app.post(`${base}/token`, (c) => shared(server.endpoints.token(c.req.raw)));
    app.post(`${base}/revoke`, (c) => shared(server.endpoints.revoke(c.req.raw)));
    for (const name of ["register", "token", "revoke"]) {
      app.options(`${base}/${name}`, () => new Response(null, { status: 204, headers: PREFLIGHT }));
    }
    app.on(["GET", "POST"], `${base}/authorize`, (c) => server.authorize(c.req.raw, visitor(c)));
  }
  const { byProvider } = server;
  if (byProvider !== undefined) {
    app.get(CALLBACK, (c) => byProvider.returned(c.req.raw, visitor(c)));
    app.get(CALLBACK_STYLE, () => server.style());
  }
  app.post("/oauth/introspect", (c) => server.endpoints.introspect(c.req.raw));
  app.get("/oauth/style.css", () => server.style());

  app.options(`${WELL_KNOWN}*`, () => new Response(null, { status: 204, headers: PREFLIGHT }));
  app.get(`${WELL_KNOWN}*`, (c) => {
    const path = pathOf(c.req.url);
    const host = c.req.header("host") ?? null;
    const found = path.startsWith(WELL_KNOWN)
      ? metadataAt(path, host, server, paths)
      : appendedMetadata(c.req.path, host, server);
    if (found === undefined)
      return c.json({ error: { status: 404, message: "there is no metadata for this path" } }, 404, CORS);
    return c.json(found, 200, METADATA_HEADERS);
  });
}

/** Some clients put the well-known part behind the path instead of in front. */
export function appendedMetadata(local: string, host: string | null, server: AuthorizationServer): object | undefined {
  const [, endpoint = "", name] = /^(.*)\/\.well-known\/([a-z-]+)$/.exec(local) ?? [];
  if (name === SERVER)
    return endpoint === "" || server.resources.audience(endpoint) !== undefined ? server.metadata() : undefined;
  return name === RESOURCE ? server.resourceMetadata(endpoint || "/", host) : undefined;
}

function metadataAt(
  path: string,
  host: string | null,
  server: AuthorizationServer,
  paths: PathTable,
): object | undefined {
  const rest = path.slice(WELL_KNOWN.length);
  const slash = rest.indexOf("/");
  const name = slash === -1 ? rest : rest.slice(0, slash);
  const about = slash === -1 ? "" : rest.slice(slash).replace(/(.)\/$/, "$1");
  // Without a path: clients of 2025-03-26 ask there, even for a proxy below a path. Not under a secret prefix.
  const local = about === "" || about === "/" ? (server.urls.prefixed ? undefined : "/") : paths.local(about);
  if (local === undefined || server.resources.audience(local) === undefined) return undefined;
  if (name === SERVER) return server.metadata();
  return name === RESOURCE ? server.resourceMetadata(local, host) : undefined;
}

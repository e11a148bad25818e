import { Hono } from "hono";
import type { Context } from "hono";
import type { AuthorizationServer } from "../oauth/authorization-server.ts";
import type { ClientAddress } from "./client-address.ts";
import { METADATA_HEADERS, addLoginRoutes, appendedMetadata, pagePath } from "./login-routes.ts";
import type { LoginEnv } from "./login-routes.ts";
import { isBrowser } from "./accept.ts";
import { healthReport, readiness, statusReport } from "./health.ts";
import type { HealthDeps, Viewer } from "./health.ts";
import type { Config } from "../config/config.ts";
import type { PublicUrls } from "../oauth/public-urls.ts";
import type { Visit } from "../oauth/visits.ts";
import type { Peer } from "../http1/incoming.ts";
import type { Explainer } from "./endpoint-page.ts";
import type { HostRule } from "./origin.ts";
import { pathOf } from "./paths.ts";
import { metricsText } from "./metrics.ts";
import type { Meters } from "../telemetry/meters.ts";
import type { PathTable } from "./paths.ts";
import { visitOf } from "./start-forms.ts";
import { addStartPage } from "./start-page.ts";

export interface PagesDeps extends HealthDeps {
  readonly config: Config;
  readonly urls: PublicUrls;
  readonly meters: Meters;
  readonly hosts: HostRule;
  readonly paths: PathTable;
  /** Where somebody logs in; undefined where nothing is behind a login. */
  readonly login: AuthorizationServer | undefined;
  readonly addresses: ClientAddress;
  viewer(request: Request, peer: Peer, visit: Visit | undefined): Viewer;
  /** For a browser at an address that is meant for programs. */
  readonly explain: Explainer;
  readonly draining: () => boolean;
}

/** Every route that is no MCP endpoint. */
export function createPages(deps: PagesDeps): (request: Request, peer: Peer) => Response | Promise<Response> {
  const app = new Hono<LoginEnv>({ getPath: (request) => pagePath(pathOf(request.url), deps.paths, deps.login) });

  app.use(async function refuseForeignHosts(c, next) {
    // Anonymous callers and a browser's cookie: both can be abused by a page that rebinds its name to us.
    if (!deps.hosts.allows(c.req.header("host") ?? null))
      return problem(c, 403, "this host name is not allowed (baseURL, allowedHosts)");
    return next();
  });

  app.use(async function learnCredential(c, next) {
    const header = c.req.header("authorization") ?? null;
    for (const { gate } of deps.rooms.values()) await gate.learn?.(header);
    return next();
  });

  const viewer = (c: Context<LoginEnv>, visit?: Visit): Viewer => deps.viewer(c.req.raw, c.env.peer, visit);

  app.get("/livez", (c) => c.json({ status: "alive" }));
  app.get("/readyz", (c) => {
    if (deps.draining()) return c.json({ status: "stopping" }, 503);
    const starting = readiness(deps);
    if (starting.length === 0) return c.json({ status: "ready" });
    return c.json({ status: "starting", ...(viewer(c).known ? { starting } : {}) }, 503);
  });
  app.get("/health", (c) => c.json(healthReport(deps, viewer(c), deps.paths.local(pathOf(c.req.url)) === undefined)));
  app.get("/status", async (c) => {
    const who = viewer(c, await visitOf(c, deps.login));
    if (!who.mayAsk) return unauthorized(c);
    return c.json(statusReport(deps, who));
  });
  app.get("/metrics", async (c) => {
    const who = viewer(c);
    if (!who.mayAsk && !who.direct) return unauthorized(c);
    const loginMeter = deps.login === undefined ? undefined : deps.meters.login;
    const { text, contentType } = await metricsText({ ...deps, loginMeter }, who.direct ? who.health : who.servers);
    return c.body(text, 200, { "Content-Type": contentType, "Cache-Control": "no-store" });
  });
  addStartPage(app, { ...deps, now: () => deps.clock.now(), viewer });

  if (deps.login !== undefined) addLoginRoutes(app, deps.login, deps.paths, deps.addresses);

  let told = Number.NEGATIVE_INFINITY;
  /** Who forgot the prefix finds the right URL in the log, and nowhere else. */
  const tellPrefix = (url: string): void => {
    const { paths, pathPrefix, clock, log } = deps;
    const path = pathOf(url);
    if (pathPrefix === "" || paths.local(path) !== undefined) return;
    if (!/\/(mcp|sse)\/?$/.test(path) || clock.now() - told < 10_000) return;
    told = clock.now();
    log.warn(
      {},
      `nothing is served at ${path.slice(0, 100)}: with the path prefix it is ${pathPrefix}${path.slice(0, 100)}`,
    );
  };

  app.notFound((c) => {
    const { login } = deps;
    const host = c.req.header("host") ?? null;
    const found = login === undefined || c.req.method !== "GET" ? undefined : appendedMetadata(c.req.path, host, login);
    if (found !== undefined) return c.json(found, 200, METADATA_HEADERS);
    tellPrefix(c.req.url);
    const answer = problem(c, 404, "nothing is served at this path; MCP endpoints are at /<name>/mcp");
    // Outside of a path prefix nothing may tell that there is one, and a page has links.
    const outside = deps.paths.local(pathOf(c.req.url)) === undefined;
    // Where the start page is switched off, nothing at all is at its place.
    return isBrowser(c.req.raw) && !outside && c.req.path !== "/" ? deps.explain(c.req.raw, answer) : answer;
  });
  app.onError((error, c) => {
    deps.log.error({ error: String(error) }, "a page failed");
    return problem(c, 500, "something went wrong here; the log has more");
  });
  return (request, peer) => app.fetch(request, { peer });
}

function unauthorized(c: Context): Response {
  c.header("WWW-Authenticate", "Bearer");
  return problem(c, 401, "send a valid token as Authorization: Bearer <token>");
}

function problem(c: Context, status: 401 | 403 | 404 | 500, message: string): Response {
  return c.json({ error: { status, message } }, status);
}

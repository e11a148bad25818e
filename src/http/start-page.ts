import type { Context, Hono } from "hono";
import type { AuthorizationServer } from "../oauth/authorization-server.ts";
import type { Consent } from "../oauth/consents.ts";
import type { PublicUrls } from "../oauth/public-urls.ts";
import type { Visit } from "../oauth/visits.ts";
import { startPageWish } from "./accept.ts";
import type { ClientAddress } from "./client-address.ts";
import type { Viewer } from "./health.ts";
import type { LoginEnv } from "./login-routes.ts";
import { ownPageHeaders } from "./page-html.ts";
import { addStartForms, visitOf } from "./start-forms.ts";
import { endpointsFor, startJson } from "./start-view.ts";
import type { EndpointsDeps, StartView } from "./start-view.ts";

export interface StartPageDeps extends EndpointsDeps {
  readonly version: string;
  readonly urls: PublicUrls;
  /** Undefined where nothing is behind a login. */
  readonly login: AuthorizationServer | undefined;
  readonly addresses: ClientAddress;
  viewer(c: Context<LoginEnv>, visit: Visit | undefined): Viewer;
}

/** The page for people at `/`, with its login, and the forms on it. */
export function addStartPage(app: Hono<LoginEnv>, deps: StartPageDeps): void {
  const { config, login } = deps;
  app.get("/oauth/page.js", async () => file("text/javascript", await built("page.js")));
  if (login === undefined) app.get("/oauth/style.css", async () => file("text/css", await built("style.css")));
  if (config.startPage === "off") return;

  app.get("/", async (c) => {
    const wish = startPageWish(c.req.header("accept") ?? null);
    const view = await viewFor(c, deps);
    if (wish === "stream") return wrongDoor(c, view);
    c.header("Vary", "Accept, Cookie, Authorization");
    c.header("Cache-Control", "no-store");
    if (wish === "json") return c.json(startJson(view));
    const { startHtml } = await import("./start-html.ts");
    return new Response(String(await startHtml(view)), { headers: ownPageHeaders() });
  });
  // People type the bare address into clients, and a client that gets a page has nothing to show its user.
  app.post("/", async (c) => wrongDoor(c, await viewFor(c, deps)));

  if (login !== undefined) addStartForms(app, deps, login);
}

async function viewFor(c: Context<LoginEnv>, deps: StartPageDeps): Promise<StartView> {
  const { config, login, urls, version } = deps;
  const visit = await visitOf(c, login);
  const viewer = deps.viewer(c, visit);
  const host = c.req.header("host") ?? null;
  const base = urls.seenAs(host);
  const endpoints = endpointsFor(viewer, base, deps);
  const wanted = c.req.query("connect");
  const reaches = ({ audiences }: Consent): string =>
    audiences.map((audience) => login?.resources.name(audience)).join(", ");
  return {
    name: config.name,
    version,
    host: new URL(base).host,
    base: urls.basePath,
    user: visit?.user,
    known: viewer.known,
    canLogIn: visit === undefined && (login?.takesPasswords === true || login?.providerLabel !== undefined),
    endpoints,
    chosen: endpoints.find(({ id }) => id === wanted) ?? endpoints[0],
    consents:
      login === undefined || visit === undefined
        ? []
        : login.consentsOf(visit.user).map((consent) => ({ ...consent, reaches: reaches(consent) })),
    csrf: visit?.csrf ?? "",
    now: deps.now(),
  };
}

/** An MCP client at a place where no endpoint is. */
function wrongDoor(c: Context, view: StartView): Response {
  const urls = view.endpoints.map(({ target }) => target.url);
  const hint = urls.length === 0 ? "MCP endpoints are at /<name>/mcp" : `MCP endpoints: ${urls.join(", ")}`;
  return c.json({ error: { status: 404, message: `there is no MCP endpoint at this address. ${hint}` } }, 404);
}

async function built(name: "page.js" | "style.css"): Promise<string> {
  const { BUILT_IN, PAGE_SCRIPT } = await import("../oauth/built-in-templates.ts");
  return name === "page.js" ? PAGE_SCRIPT : BUILT_IN["style.css"];
}

function file(type: string, text: string): Response {
  return new Response(text, {
    headers: {
      "Content-Type": `${type}; charset=utf-8`,
      "Cache-Control": "no-cache",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

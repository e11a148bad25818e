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

/** Somebody's login on the start page, by the cookie of the request. */
export async function visitOf(c: Context, login: AuthorizationServer | undefined): Promise<Visit | undefined> {
  return await login?.visits.find(c.req.header("cookie") ?? null);
}

/** The page for people at `/`, with its login, and the forms on it. */
export function addStartPage(app: Hono<LoginEnv>, deps: StartPageDeps): void {
  const { config, login, urls } = deps;
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

  if (login === undefined) return;
  const base = urls.basePath;
  const back = (...cookies: string[]): Response => {
    const headers = new Headers({
      Location: `${base}/`,
      "Cache-Control": "no-store",
      "Referrer-Policy": "no-referrer",
    });
    for (const cookie of cookies) headers.append("Set-Cookie", cookie);
    return new Response(null, { status: 303, headers });
  };
  const refused = async (status: number, title: string, text: string): Promise<Response> => {
    const { messageHtml } = await import("./small-pages.ts");
    const page = await messageHtml(config.name, base, title, text);
    return new Response(String(page), { status, headers: ownPageHeaders() });
  };
  const foreign = (): Promise<Response> =>
    refused(403, "This did not come from the start page", "Nothing was changed. Open the start page and try again.");

  if (login.takesPasswords) {
    app.get("/login", async (c) => {
      if ((await visitOf(c, login)) !== undefined) return back();
      return await loginForm(c, deps, login, { status: 200, username: "" });
    });
    app.post("/login", async (c) => {
      const site = c.req.header("sec-fetch-site");
      if (site !== undefined && site !== "same-origin" && site !== "none") return await foreign();
      const form = await login.form(c.req.raw);
      if (form === undefined)
        return await refused(400, "This is no form of ours", "Open the start page and try again.");
      if (!login.visits.madeForm(form.get("token"), c.req.header("cookie") ?? null))
        return await refused(
          400,
          "This form is too old",
          "It was opened in another browser, or long ago. Open the start page and try again.",
        );
      const address = deps.addresses.of(c.env.peers.requestIP(c.req.raw)?.address ?? null, c.req.raw.headers);
      const tried = await login.passwords.try(form.get("username"), form.get("password"), address);
      if (!tried.right) return await loginForm(c, deps, login, tried);
      return back(await login.visits.begin(tried.username));
    });
  }
  app.post("/logout", async (c) => {
    const visit = await proven(c, login);
    if (visit === undefined) return await foreign();
    return back(await login.visits.end(c.req.header("cookie") ?? null));
  });
  app.post("/consent/revoke", async (c) => {
    const visit = await proven(c, login);
    if (visit === undefined) return await foreign();
    await login.endConsent(visit.visit.user, visit.form.get("client") ?? "");
    return back();
  });
}

/**
 * A form of our own page, sent by the browser it was made for. What changes something is refused unless the browser
 * itself says that its own page sends it: a stolen token alone is not enough.
 */
async function proven(
  c: Context,
  login: AuthorizationServer,
): Promise<{ visit: Visit; form: NonNullable<Awaited<ReturnType<AuthorizationServer["form"]>>> } | undefined> {
  if (c.req.header("sec-fetch-site") !== "same-origin") return undefined;
  const visit = await visitOf(c, login);
  const form = visit === undefined ? undefined : await login.form(c.req.raw);
  if (visit === undefined || form === undefined) return undefined;
  return login.visits.proves(visit, form.get("csrf")) ? { visit, form } : undefined;
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
    canLogIn: login?.takesPasswords === true && visit === undefined,
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

async function loginForm(
  c: Context,
  { config, urls }: StartPageDeps,
  login: AuthorizationServer,
  shown: { status: number; username: string; message?: string; retryAfter?: number },
): Promise<Response> {
  const { loginHtml } = await import("./small-pages.ts");
  const { token, cookie } = login.visits.makeForm(c.req.header("cookie") ?? null);
  const page = await loginHtml({
    name: config.name,
    base: urls.basePath,
    token,
    username: shown.username,
    message: shown.message,
  });
  const headers = ownPageHeaders();
  if (cookie !== undefined) headers.append("Set-Cookie", cookie);
  if (shown.retryAfter !== undefined) headers.set("Retry-After", String(shown.retryAfter));
  return new Response(String(page), { status: shown.status, headers });
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

import type { Context, Hono } from "hono";
import type { Config } from "../config/config.ts";
import type { AuthorizationServer } from "../oauth/authorization-server.ts";
import type { PublicUrls } from "../oauth/public-urls.ts";
import type { Visit } from "../oauth/visits.ts";
import { isDirectLoopback } from "./client-address.ts";
import type { ClientAddress } from "./client-address.ts";
import type { LoginEnv } from "./login-routes.ts";
import { ownPageHeaders } from "./page-html.ts";

export interface StartFormsDeps {
  readonly config: Config;
  readonly urls: PublicUrls;
  readonly addresses: ClientAddress;
}

/** Somebody's login on the start page, by the cookie of the request. */
export async function visitOf(c: Context, login: AuthorizationServer | undefined): Promise<Visit | undefined> {
  return await login?.visits.find(c.req.header("cookie") ?? null);
}

/** The forms of the start page: logging in and out, and taking back what a client was allowed. */
export function addStartForms(app: Hono<LoginEnv>, deps: StartFormsDeps, login: AuthorizationServer): void {
  const { config, urls } = deps;
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

  app.get("/login", async (c, next) => {
    if (!login.takesPasswords && login.providerLabel === undefined) return await next();
    if ((await visitOf(c, login)) !== undefined) return back();
    return await loginForm(c, deps, login, { status: 200, username: "" });
  });
  app.post("/login", async (c) => {
    const site = c.req.header("sec-fetch-site");
    if (site !== undefined && site !== "same-origin" && site !== "none") return await foreign();
    const form = await login.form(c.req.raw);
    if (form === undefined) return await refused(400, "This is no form of ours", "Open the start page and try again.");
    if (!login.visits.madeForm(form.get("token"), c.req.header("cookie") ?? null))
      return await refused(
        400,
        "This form is too old",
        "It was opened in another browser, or long ago. Open the start page and try again.",
      );
    const peer = c.env.peer.address;
    const address = deps.addresses.of(peer, c.req.raw.headers);
    const { byProvider } = login;
    if (byProvider !== undefined && (form.get("action") === "provider" || !login.takesPasswords))
      return await byProvider.visit(c.req.raw, { address, direct: isDirectLoopback(peer, c.req.raw.headers) });
    const tried = await login.passwords.try(form.get("username"), form.get("password"), address);
    if (!tried.right) return await loginForm(c, deps, login, tried);
    return back(await login.visits.begin(tried.username));
  });
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

async function loginForm(
  c: Context,
  { config, urls }: StartFormsDeps,
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
    provider: login.providerLabel,
    passwords: login.takesPasswords,
    message: shown.message,
  });
  const headers = ownPageHeaders(login.providerLabel !== undefined);
  if (cookie !== undefined) headers.append("Set-Cookie", cookie);
  if (shown.retryAfter !== undefined) headers.set("Retry-After", String(shown.retryAfter));
  return new Response(String(page), { status: shown.status, headers });
}

import { randomBytes } from "node:crypto";
import type { Log } from "../telemetry/log.ts";
import { Answerable, Unanswerable } from "./authorize-request.ts";
import type { PageName } from "./built-in-templates.ts";
import { PATHS } from "./capabilities.ts";
import { DocumentError } from "./client-documents.ts";
import type { Client } from "./clients.ts";
import { OAuthError } from "./errors.ts";
import { pageHeaders, redirectTo } from "./page-headers.ts";
import { withProvider, withTransaction } from "./pages.ts";
import type { PageData, Pages } from "./pages.ts";
import type { PublicUrls } from "./public-urls.ts";
import { isLoopbackRedirect, withAnswer } from "./redirect-uri.ts";
import type { Resources } from "./resources.ts";
import type { BrowserCookie, LoginRequest, Transactions } from "./transaction.ts";
import type { Users } from "./users.ts";
import type { Visitor } from "./visitor.ts";

const DAY_MS = 86_400_000;

export interface LoginPagesDeps {
  readonly serverName: string;
  readonly urls: PublicUrls;
  readonly resources: Resources;
  readonly users: Users;
  readonly pages: Pages;
  readonly transactions: Transactions;
  readonly cookie: BrowserCookie;
  readonly log: Log;
  readonly refreshMs: number;
  /** Undefined: people log in with a password only. */
  readonly provider: { readonly label: string } | undefined;
}

/** How the form is shown: for the first time, or again with what was wrong. */
export interface Shown {
  readonly status: number;
  readonly username?: string;
  readonly message?: string;
  readonly retryAfter?: number;
}

/** What a person sees of a login: the form, where it leads, and what is wrong. */
export class LoginPages {
  readonly #deps: LoginPagesDeps;

  constructor(deps: LoginPagesDeps) {
    this.#deps = deps;
  }

  /** The page for login and consent. */
  async form(request: Request, login: LoginRequest, client: Client, shown: Shown): Promise<Response> {
    const { cookie, transactions, resources, urls, pages, refreshMs, provider, users } = this.#deps;
    const known = cookie.read(request.headers.get("cookie"));
    const fresh = known === undefined ? cookie.make() : undefined;
    const transaction = transactions.seal(login, known ?? fresh?.value ?? "");
    const data: PageData = {
      ...this.#common(client),
      ResourceName: resources.name(login.audience),
      ClientID: client.id,
      VerifiedHost: client.verifiedHost,
      RedirectURI: login.redirectUri,
      RedirectHost: placeOf(login.redirectUri),
      LocalApp: isLoopbackRedirect(login.redirectUri),
      ResponseType: "code",
      Scope: login.scopes.join(" "),
      State: login.state,
      CodeChallenge: login.challenge,
      Resource: login.resource,
      IdleDays: Math.max(1, Math.round(refreshMs / DAY_MS)),
      FormAction: urls.basePath + PATHS.authorize,
      Transaction: transaction,
      Username: shown.username,
      ErrorMessage: shown.message,
      Provider: provider?.label,
      PasswordLogin: provider === undefined || users.any,
    };
    const custom = await pages.custom("authorize.html");
    const headers = pageHeaders(custom);
    if (fresh !== undefined) headers.append("Set-Cookie", fresh.header);
    if (shown.retryAfter !== undefined) headers.set("Retry-After", String(shown.retryAfter));
    const html = withTransaction(await pages.render("authorize.html", data), transaction);
    const whole = provider !== undefined && custom ? withProvider(html, provider.label) : html;
    return new Response(whole, { status: shown.status, headers });
  }

  /** The last page: it says that all is well, and goes on to the client. */
  async success(client: Client, username: string, location: string): Promise<Response> {
    const { pages } = this.#deps;
    const custom = await pages.custom("success.html");
    // A page of one's own site is followed at once; a program beside the browser leaves the person looking at this tab.
    if (location.startsWith("https:") && !custom) return redirectTo(location);
    const html = await pages.render("success.html", {
      ...this.#common(client),
      Username: username,
      RedirectURL: location,
    });
    const headers = pageHeaders(custom);
    // Older pages of the operator go on by a script, which may not run here.
    if (!/http-equiv=["']?refresh/i.test(html)) headers.set("Refresh", `1;url=${location}`);
    return new Response(html, { headers });
  }

  /** Runs what answers a browser; what is thrown is told to whom it concerns. @param style where the pages' style is */
  async answering(visitor: Visitor, run: () => Promise<Response>, style?: string): Promise<Response> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof Answerable) {
        const { code, message } = error.error;
        return redirectTo(
          withAnswer(error.redirectUri, {
            error: code,
            error_description: message,
            state: error.state,
            iss: this.#deps.urls.issuer,
          }),
        );
      }
      if (error instanceof Unanswerable) return await this.#refuse(error, visitor, style);
      if (error instanceof DocumentError)
        return await this.#refuse(new Unanswerable(error.message, "client"), visitor, style);
      if (error instanceof OAuthError)
        return await this.#refuse(new Unanswerable(error.message, "client"), visitor, style, error.status);
      throw error;
    }
  }

  /** An error the person sees, and nobody else. */
  async #refuse(error: Unanswerable, visitor: Visitor, style?: string, status = error.status): Promise<Response> {
    const { pages, log } = this.#deps;
    const id = randomBytes(4).toString("hex");
    log.warn(
      { id, address: visitor.address, redirectUri: error.redirectUri?.slice(0, 500) },
      `a login was refused: ${error.message}`,
    );
    const name: PageName = "error.html";
    const html = await pages.render(name, {
      ...this.#common(),
      ...(style === undefined ? {} : { StyleURL: style }),
      ErrorMessage: error.message,
      RedirectURI: error.redirectUri,
      Advice: ADVICE[error.turn],
      OwnerAdvice:
        visitor.direct && error.redirectUri !== undefined
          ? `You own this server? If you trust this address, add it in your configuration: "allowedRedirectURIs": [${JSON.stringify(error.redirectUri)}], and let the app register again.`
          : undefined,
      ErrorID: id,
    });
    const headers = pageHeaders(await pages.custom(name));
    if (error.cookie !== undefined) headers.append("Set-Cookie", error.cookie);
    return new Response(html, { status, headers });
  }

  #common(client?: Client): PageData {
    const { serverName, urls } = this.#deps;
    const name = client?.metadata.client_name ?? client?.verifiedHost ?? "An app without a name";
    return { ServerName: serverName, StyleURL: `${urls.basePath}/oauth/style.css`, ClientName: name };
  }
}

const ADVICE = {
  client: "Go back to the app and connect it again. If that does not help, its maker has to correct it.",
  owner: "The owner of this server has to correct it.",
  person: "Go back to the app and begin the login again.",
  later: "Wait a minute, then go back to the app and begin the login again.",
  stranger: "Ask its owner to add you, or go back to the app and begin again with another account.",
} as const;

/** Where an answer goes, as a person would say it. */
function placeOf(uri: string): string {
  const url = new URL(uri);
  if (isLoopbackRedirect(uri)) return `this computer (${url.host})`;
  return url.protocol === "https:" ? url.host : `the app for ${url.protocol}`;
}

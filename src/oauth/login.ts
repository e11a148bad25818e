import type { LoginMeter } from "../telemetry/meters.ts";
import type { Approval } from "./approval.ts";
import { Answerable, clientIdOf, readAuthorizeRequest, redirectUriOf, Unanswerable } from "./authorize-request.ts";
import type { ClientLookup } from "./client-lookup.ts";
import type { Client } from "./clients.ts";
import { OAuthError } from "./errors.ts";
import { readForm } from "./forms.ts";
import type { LoginByProvider } from "./login-by-provider.ts";
import type { LoginPages } from "./login-pages.ts";
import { Params } from "./params.ts";
import type { PasswordCheck } from "./password-check.ts";
import type { PublicUrls } from "./public-urls.ts";
import { matchingRedirect } from "./redirect-uri.ts";
import type { Resources } from "./resources.ts";
import type { BrowserCookie, LoginRequest, Transactions } from "./transaction.ts";
import type { Users } from "./users.ts";
import type { Visitor } from "./visitor.ts";

export interface LoginDeps {
  readonly urls: PublicUrls;
  readonly resources: Resources;
  readonly clients: ClientLookup;
  readonly users: Users;
  readonly pages: LoginPages;
  readonly transactions: Transactions;
  readonly passwords: PasswordCheck;
  readonly cookie: BrowserCookie;
  readonly meter: LoginMeter;
  readonly approval: Approval;
  /** Undefined: people log in with a password only. */
  readonly byProvider: LoginByProvider | undefined;
}

/** The authorization endpoint: the page for login and consent, and what becomes of it. */
export class Login {
  readonly #deps: LoginDeps;

  constructor(deps: LoginDeps) {
    this.#deps = deps;
  }

  /** A client sends somebody here to log in. */
  async ask(request: Request, visitor: Visitor): Promise<Response> {
    const params = new Params(new URL(request.url).searchParams);
    return await this.#deps.pages.answering(visitor, async () => {
      const client = await this.#deps.clients.find(clientIdOf(params), visitor);
      const redirect = redirectUriOf(params, client);
      const login = readAuthorizeRequest(params, client, redirect, (resource) => this.#audience(resource, request));
      return await this.#deps.pages.form(request, login, client, { status: 200 });
    });
  }

  /** The form comes back. */
  async decide(request: Request, visitor: Visitor): Promise<Response> {
    return await this.#deps.pages.answering(visitor, async () => {
      // The form's Origin is `null` (no-referrer), so this header is what tells our own page from another site's.
      const site = request.headers.get("sec-fetch-site");
      if (site !== null && site !== "same-origin" && site !== "none")
        throw new Unanswerable("This form came from another web site.", "person");
      const params = await readForm(request);
      // It carries the whole request, so it may be longer than any parameter of that.
      const [first, ...more] = params.all("transaction");
      const sealed = more.length === 0 ? first : undefined;
      const login = this.#deps.transactions.open(sealed, this.#deps.cookie.read(request.headers.get("cookie")));
      if (login === undefined)
        throw new Unanswerable("This login page is too old, or was opened in another browser.", "person");
      const client = await this.#deps.clients.find(login.clientId, visitor);
      if (login.redirectGiven && !matchingRedirect(login.redirectUri, client.metadata.redirect_uris)) {
        throw new Unanswerable(
          "The address the answer should go to is not one this app has registered.",
          "client",
          login.redirectUri,
        );
      }
      const action = params.get("action");
      if (action === "cancel" || action === "deny") {
        this.#deps.meter.logins.denied++;
        throw new Answerable(
          new OAuthError("access_denied", "the user did not allow it"),
          login.redirectUri,
          login.state,
        );
      }
      const { byProvider, users } = this.#deps;
      if (byProvider !== undefined && (action === "provider" || !users.any))
        return await byProvider.send(request, login, client);
      return await this.#logIn(request, params, login, client, visitor);
    });
  }

  async #logIn(
    request: Request,
    params: Params,
    login: LoginRequest,
    client: Client,
    visitor: Visitor,
  ): Promise<Response> {
    const about = { client: client.id };
    const tried = await this.#deps.passwords.try(
      params.get("username"),
      params.get("password"),
      visitor.address,
      about,
    );
    if (!tried.right) return await this.#deps.pages.form(request, login, client, tried);
    return await this.#deps.approval.give(login, client, tried.username);
  }

  #audience(resource: string, request: Request): string | undefined {
    const { urls, resources } = this.#deps;
    const local = urls.localPath(resource, request.headers.get("host"));
    return local === undefined ? undefined : resources.audience(local);
  }
}

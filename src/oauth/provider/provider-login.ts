import { memberOf } from "../../auth/identity.ts";
import type { Identity, Members } from "../../auth/identity.ts";
import { ProviderTrouble } from "../../auth/provider-fetch.ts";
import type { Log } from "../../telemetry/log.ts";
import { Answerable, Unanswerable } from "../authorize-request.ts";
import { OAuthError } from "../errors.ts";
import { redirectTo } from "../page-headers.ts";
import type { Params } from "../params.ts";
import type { LoginRequest } from "../transaction.ts";
import type { PendingLogin, PendingLogins } from "./pending.ts";
import { ProviderRefusal } from "./provider-client.ts";
import type { Confirmed, ProviderClient } from "./provider-client.ts";

export interface ProviderLoginDeps {
  readonly client: ProviderClient;
  readonly pending: PendingLogins;
  readonly members: Members;
  /** The redirect URI that is registered at the provider. */
  readonly callback: () => string;
  readonly log: Log;
}

/** Somebody the provider has confirmed and who is a user here. */
export interface Arrived {
  readonly user: string;
  readonly identity: Identity;
  readonly refreshToken: string | undefined;
}

/** Set for a while after somebody came who is no user, so that the provider asks again who it is. */
const OTHER_ACCOUNT = "mcp-proxy-other-account";

/** The way through the identity provider: there, after our own page was answered with yes, and back. */
export class ProviderLogin {
  readonly #deps: ProviderLoginDeps;

  constructor(deps: ProviderLoginDeps) {
    this.#deps = deps;
  }

  get label(): string {
    return this.#deps.client.label;
  }

  /** @param browser what names the browser that allowed the request. @throws ProviderTrouble */
  async begin(request: LoginRequest, browser: string, cookies: string | null): Promise<Response> {
    const { client, pending, callback } = this.#deps;
    const begun = pending.begin(request, browser, cookies);
    const again = cookies?.includes(`${OTHER_ACCOUNT}=1`) ?? false;
    const address = await client.begin(callback(), begun.checks, again);
    const response = redirectTo(address.href);
    for (const header of begun.setCookies) response.headers.append("Set-Cookie", header);
    if (again) response.headers.append("Set-Cookie", `${OTHER_ACCOUNT}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax`);
    return response;
  }

  /** Finds what a callback belongs to. It opens once. @throws Unanswerable */
  async open(params: Params, browser: string | undefined, cookies: string | null): Promise<PendingLogin> {
    if (params.broken("state"))
      throw new Unanswerable("The answer of the login came with more than one state.", "person");
    const state = params.get("state");
    if (state === undefined) throw new Unanswerable("The answer of the login came without a state.", "person");
    const found = await this.#deps.pending.take(state, browser, cookies);
    if (found === undefined)
      throw new Unanswerable("This login was not begun in this browser, is over already, or took too long.", "person");
    return found;
  }

  /** @throws Answerable, Unanswerable */
  async finish(query: string, { request, checks }: PendingLogin): Promise<Arrived> {
    const { client, callback, members, log } = this.#deps;
    let confirmed: Confirmed;
    try {
      confirmed = await client.finish(new URL(callback() + query), checks);
    } catch (error) {
      throw this.#translated(error, request);
    }
    const { identity, refreshToken } = confirmed;
    const user = memberOf(identity, members);
    if (user !== undefined) return { user, identity, refreshToken };
    log.warn(
      { subject: identity.subject, email: identity.email },
      "somebody logged in at the identity provider who is not among the users",
    );
    const who = identity.email ?? `Your account at ${this.label} (without a verified e-mail address)`;
    throw new Unanswerable(`${who} is not among the users of this server.`, "stranger", undefined, {
      status: 403,
      cookie: `${OTHER_ACCOUNT}=1; Max-Age=600; Path=/; HttpOnly; SameSite=Lax`,
    });
  }

  /** Takes the cookie of a callback's login away, however that ended. */
  forget(response: Response, state: string | null): Response {
    if (state !== null && /^[\w-]{43}$/.test(state))
      response.headers.append("Set-Cookie", this.#deps.pending.end(state));
    return response;
  }

  /** What the person may read of a failure; the log has the reason. */
  #translated(error: unknown, request: LoginRequest): Error {
    const { label, log } = { label: this.label, log: this.#deps.log };
    if (error instanceof ProviderRefusal && error.code === "access_denied") {
      log.warn(
        { provider: label },
        "the identity provider refused a login: access_denied (or the person cancelled it)",
      );
      return new Answerable(
        new OAuthError("access_denied", "the login at the identity provider was refused or cancelled"),
        request.redirectUri,
        request.state,
      );
    }
    const reason = error instanceof Error ? error.message : String(error);
    log.error({ provider: label, reason }, "a login through the identity provider failed");
    if (error instanceof ProviderTrouble && error.down)
      return new Unanswerable(`${label} does not answer at the moment.`, "later", undefined, { status: 503 });
    return new Unanswerable(`${label} answered in a way that cannot be trusted or used.`, "owner", undefined, {
      status: 502,
    });
  }
}

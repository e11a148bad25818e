import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { Client } from "./clients.ts";
import type { Grants } from "./grants.ts";
import type { LoginPages } from "./login-pages.ts";
import type { PublicUrls } from "./public-urls.ts";
import { withAnswer } from "./redirect-uri.ts";
import type { LoginRequest } from "./transaction.ts";
import type { Users } from "./users.ts";

const CODE_MS = 60_000;

export interface ApprovalDeps {
  readonly grants: Grants;
  readonly users: Users;
  readonly pages: LoginPages;
  readonly urls: PublicUrls;
  readonly clock: Clock;
  readonly log: Log;
}

/** What follows when somebody has said who he is and allowed a client what it asks for. */
export class Approval {
  readonly #deps: ApprovalDeps;

  constructor(deps: ApprovalDeps) {
    this.#deps = deps;
  }

  /**
   * Begins a grant, and sends its code to the client.
   * @param provided what the identity provider said, sealed; undefined for a login with a password
   */
  async give(login: LoginRequest, client: Client, username: string, provided?: string): Promise<Response> {
    const { grants, users, clock, urls, log, pages } = this.#deps;
    const code = await grants.begin(
      {
        client: client.id,
        user: username,
        // Who came through the provider is not thrown out by a new password.
        ...(provided === undefined ? { passwordMark: users.mark(username) } : { passwordMark: undefined, provided }),
        scopes: login.scopes,
        audience: login.audience,
      },
      {
        expires: clock.now() + CODE_MS,
        redirectUri: login.redirectUri,
        redirectGiven: login.redirectGiven,
        challenge: login.challenge,
      },
    );
    const roles = users.rolesOf(username);
    log.info(
      { user: username, roles, client: client.id, name: client.metadata.client_name },
      "a user allowed a client",
    );
    const location = withAnswer(login.redirectUri, { code, state: login.state, iss: urls.issuer });
    return await pages.success(client, username, location);
  }
}

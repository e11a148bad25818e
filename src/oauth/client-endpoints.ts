import type { Clock } from "../telemetry/clock.ts";
import type { Log } from "../telemetry/log.ts";
import type { LoginMeter } from "../telemetry/meters.ts";
import type { AddressRule } from "./address-rule.ts";
import { authenticateClient } from "./client-auth.ts";
import type { ClientDocuments } from "./client-documents.ts";
import type { Client, Clients } from "./clients.ts";
import { OAuthError } from "./errors.ts";
import { jsonAnswer, readForm, readJson } from "./forms.ts";
import type { Grant } from "./grant.ts";
import type { Grants } from "./grants.ts";
import type { Visitor } from "./visitor.ts";
import type { Params } from "./params.ts";
import type { PublicUrls } from "./public-urls.ts";
import type { RedirectPolicy } from "./redirect-uri.ts";
import { readMetadata } from "./registration.ts";
import type { Resources } from "./resources.ts";
import type { MinuteLimit } from "./throttle.ts";
import { tokenRequest } from "./token-request.ts";
import { introspect, revoke } from "./token-status.ts";

export interface ClientEndpointDeps {
  readonly grants: Grants;
  readonly clients: Clients;
  readonly documents: ClientDocuments;
  readonly resources: Resources;
  readonly urls: PublicUrls;
  readonly policy: RedirectPolicy;
  /** Who may register. */
  readonly addresses: AddressRule;
  /** How often. */
  readonly registrations: MinuteLimit;
  readonly lifetimes: { readonly accessMs: number; readonly refreshMs: number };
  /** Asks whoever vouches for a login whether it still holds. @throws OAuthError */
  readonly confirm: (grant: Grant) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: LoginMeter;
}

/** The endpoints that programs ask, each answered in JSON: registration, tokens, revocation, introspection. */
export class ClientEndpoints {
  readonly #deps: ClientEndpointDeps;

  constructor(deps: ClientEndpointDeps) {
    this.#deps = deps;
  }

  register(request: Request, visitor: Visitor): Promise<Response> {
    return this.#answering(async () => {
      if (!this.#deps.addresses.allows(visitor.address)) {
        this.#deps.log.warn(
          { address: visitor.address },
          "a registration was refused: the address is not in allowedIPs",
        );
        throw new OAuthError("access_denied", "registration is not open to your address (allowedIPs)");
      }
      const again = this.#deps.registrations.take(visitor.address);
      if (again > 0)
        throw new OAuthError("temporarily_unavailable", "too many registrations from your address", {
          headers: { "Retry-After": String(again) },
        });
      const metadata = readMetadata(await readJson(request), this.#deps.policy);
      const { client, secret } = await this.#deps.clients.register(metadata);
      this.#deps.meter.registrations++;
      this.#deps.log.info(
        { client: client.id, name: metadata.client_name, address: visitor.address },
        "a client registered",
      );
      const body = {
        client_id: client.id,
        client_id_issued_at: Math.floor(client.made / 1_000),
        ...(secret === undefined ? {} : { client_secret: secret, client_secret_expires_at: 0 }),
        ...metadata,
      };
      return jsonAnswer(body, 201);
    });
  }

  token(request: Request): Promise<Response> {
    return this.#asClient(request, async (params, client) => {
      const audienceOf = (resource: string): string | undefined => {
        const local = this.#deps.urls.localPath(resource, request.headers.get("host"));
        return local === undefined ? undefined : this.#deps.resources.audience(local);
      };
      const { grants, clock, lifetimes, confirm } = this.#deps;
      const answer = await tokenRequest(params, client, { grants, clock, lifetimes, audienceOf, confirm });
      this.#deps.meter.tokens++;
      return jsonAnswer(answer);
    });
  }

  revoke(request: Request): Promise<Response> {
    return this.#asClient(request, async (params, client) => {
      await revoke(params, client, this.#deps.grants);
      return jsonAnswer({});
    });
  }

  introspect(request: Request): Promise<Response> {
    return this.#asClient(request, (params, client) => {
      if (client.secretDigest === undefined)
        throw new OAuthError("invalid_client", "introspection is for clients with a secret");
      return Promise.resolve(
        jsonAnswer(introspect(params, client, this.#deps.grants, this.#deps.clock, this.#deps.urls.issuer)),
      );
    });
  }

  #asClient(request: Request, run: (params: Params, client: Client) => Promise<Response>): Promise<Response> {
    return this.#answering(async () => {
      const params = await readForm(request);
      // RFC 8707 section 2 lets a client name several resources; that has an error of its own.
      params.refuseRepeated("resource");
      const known = (id: string): Client | undefined =>
        this.#deps.documents.isAddress(id) ? this.#deps.documents.bare(id) : this.#deps.clients.find(id);
      return await run(params, authenticateClient(params, request.headers.get("authorization"), { known }));
    });
  }

  async #answering(run: () => Promise<Response>): Promise<Response> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof OAuthError) return jsonAnswer(error.body, error.status, error.headers);
      this.#deps.log.error({ error: String(error) }, "a request to the login failed");
      return jsonAnswer(new OAuthError("server_error", "something went wrong here; the log has more").body, 500);
    }
  }
}

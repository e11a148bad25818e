import { recordOf } from "../protocol/parsed.ts";
import type { ClientCredentials } from "../config/config.ts";
import type { Clock } from "../telemetry/clock.ts";
import { Fault } from "./fault.ts";
import { readStart } from "./http-body.ts";
import { networkFault } from "./http-fault.ts";
import type { Fetch } from "./http-link.ts";

const ANSWER_BYTES = 256 * 1024;
const PATIENCE_MS = 30_000;
/** A token is renewed so long before its end that no request still under way meets the end. */
const MARGIN_MS = 30_000;

/**
 * Tokens of the proxy itself for one server, by client credentials (RFC 6749 section 4.4). One request for a token at
 * a time; who comes meanwhile waits for it too.
 */
export class AccessTokens {
  readonly #credentials: ClientCredentials;
  readonly #fetch: Fetch;
  readonly #clock: Clock;
  #token: { readonly text: string; readonly renewAt: number } | undefined;
  #pending: Promise<string> | undefined;

  constructor(credentials: ClientCredentials, fetch: Fetch, clock: Clock) {
    this.#credentials = credentials;
    this.#fetch = fetch;
    this.#clock = clock;
  }

  /** @throws Fault when none can be had */
  current(): Promise<string> {
    if (this.#token !== undefined && this.#clock.now() < this.#token.renewAt) return Promise.resolve(this.#token.text);
    return this.#renew();
  }

  /**
   * Another token than one that was refused.
   * @throws Fault
   */
  instead(refused: string): Promise<string> {
    if (this.#token?.text !== refused) return this.current();
    this.#token = undefined;
    return this.#renew();
  }

  #renew(): Promise<string> {
    this.#pending ??= this.#ask().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  async #ask(): Promise<string> {
    const { clientId, clientSecret, scope } = this.#credentials;
    const form = { grant_type: "client_credentials", ...(scope === undefined ? {} : { scope }) };
    const basic = Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString("base64");
    let { status, text } = await this.#post(form, { authorization: `Basic ${basic}` });
    if (status === 400 || status === 401) {
      // Every server must take the header; some take only the form (RFC 6749 section 2.3.1).
      ({ status, text } = await this.#post({ ...form, client_id: clientId, client_secret: clientSecret }, {}));
    }
    const answer = parse(text);
    const token = answer["access_token"];
    if (status !== 200 || typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
      throw this.#refused(status, answer);
    }
    const seconds = Number(answer["expires_in"]);
    const lifeMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : Number.POSITIVE_INFINITY;
    this.#token = { text: token, renewAt: this.#clock.now() + lifeMs - Math.min(MARGIN_MS, lifeMs / 2) };
    return token;
  }

  async #post(
    form: Record<string, string>,
    headers: Record<string, string>,
  ): Promise<{ status: number; text: string }> {
    try {
      const response = await this.#fetch(this.#credentials.tokenUrl, {
        method: "POST",
        headers: { accept: "application/json", "content-type": "application/x-www-form-urlencoded", ...headers },
        body: new URLSearchParams(form).toString(),
        // A redirect would carry the secret to wherever it points.
        redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const { text } = await readStart(response, ANSWER_BYTES);
      return { status: response.status, text };
    } catch (error) {
      const { message, detail } = networkFault(error);
      throw new Fault("upstream.unauthorized", `no token from ${shown(this.#credentials.tokenUrl)}: ${message}`, {
        detail,
        notRun: true,
      });
    }
  }

  #refused(status: number, answer: Record<string, unknown>): Fault {
    const code = typeof answer["error"] === "string" ? ` (${answer["error"].slice(0, 100)})` : "";
    const what = status === 200 ? "answered without an access_token" : `refused with HTTP ${status}${code}`;
    const remedy = "see that the client's id, its secret and the token URL are right";
    const message = `no token: ${shown(this.#credentials.tokenUrl)} ${what}; ${remedy}`;
    return new Fault("upstream.unauthorized", message, { notRun: true });
  }
}

/** Id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1). */
function formEncoded(text: string): string {
  return new URLSearchParams({ "": text }).toString().slice(1);
}

function parse(text: string): Record<string, unknown> {
  try {
    return recordOf(JSON.parse(text));
  } catch {
    return {};
  }
}

/** Without a password or a query. */
function shown(url: string): string {
  const parsed = URL.parse(url);
  return parsed === null ? "the token URL" : parsed.origin + parsed.pathname;
}

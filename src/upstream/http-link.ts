/** The part of `fetch` that the wires use. */
export type Fetch = (url: string, init: BunFetchRequestInit) => Promise<Response>;

export interface HttpLinkOptions {
  readonly url: string;
  /** Configured headers, sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** False accepts any certificate. */
  readonly rejectUnauthorized: boolean;
  readonly fetch: Fetch;
}

interface Call {
  readonly method: "POST" | "GET" | "DELETE";
  readonly accept: string;
  readonly signal: AbortSignal;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Another place of the same server than the endpoint. */
  readonly url?: string;
}

/**
 * Requests to one MCP endpoint with the headers that belong to its session. Nothing else is ever sent: what a client
 * of the proxy put into its headers gets here only if somebody handed it in.
 */
export class HttpLink {
  readonly #url: string;
  readonly #fetch: Fetch;
  readonly #tls: { rejectUnauthorized: boolean } | undefined;
  readonly #configured: Readonly<Record<string, string>>;
  #session: string | undefined;
  #version: string | undefined;

  constructor(options: HttpLinkOptions) {
    this.#url = options.url;
    this.#fetch = options.fetch;
    this.#tls = options.rejectUnauthorized ? undefined : { rejectUnauthorized: false };
    this.#configured = { "user-agent": "mcp-proxy", ...lowerCase(options.headers) };
  }

  get session(): string | undefined {
    return this.#session;
  }

  /** The negotiated version, undefined in the first phase. */
  get version(): string | undefined {
    return this.#version;
  }

  settle(version: string): void {
    this.#version = version;
  }

  /**
   * @throws TypeError when there is no answer
   * @throws DOMException when the signal was aborted
   */
  async call(call: Call): Promise<Response> {
    const init: BunFetchRequestInit = {
      method: call.method,
      headers: this.#headers(call),
      signal: call.signal,
      // By itself `fetch` would carry our credentials to wherever a redirect points.
      redirect: "manual",
      // The runtime's idle limit of 5 minutes would cut silent streams and long calls.
      timeout: false,
      ...(call.body === undefined ? {} : { body: call.body }),
      ...(this.#tls === undefined ? {} : { tls: this.#tls }),
    };
    const url = call.url ?? this.#url;
    let response = await this.#fetch(url, init);
    const target = sameOriginTarget(response, url);
    if (target !== undefined) {
      response.body?.cancel().catch(() => undefined);
      response = await this.#fetch(target, init);
    }
    // The question which era a server speaks is not the beginning of a session.
    if (call.headers?.["mcp-method"] === undefined) this.#learnSession(response);
    return response;
  }

  #headers(call: Call): Record<string, string> {
    return {
      ...this.#configured,
      ...(call.headers === undefined ? {} : lowerCase(call.headers)),
      accept: call.accept,
      ...(call.body === undefined ? {} : { "content-type": "application/json" }),
      ...(this.#session === undefined ? {} : { "mcp-session-id": this.#session }),
      ...(this.#version === undefined ? {} : { "mcp-protocol-version": this.#version }),
    };
  }

  /** A session is given with the answer to `initialize` only, that is in the first phase. */
  #learnSession(response: Response): void {
    if (this.#version !== undefined || !response.ok) return;
    const session = response.headers.get("mcp-session-id");
    if (session !== null && /^[\x21-\x7e]+$/.test(session)) this.#session = session;
  }
}

/** Where a redirect that keeps method and body leads, if that is the same server. */
function sameOriginTarget(response: Response, from: string): string | undefined {
  if (response.status !== 307 && response.status !== 308) return undefined;
  const location = response.headers.get("location");
  if (location === null || !URL.canParse(location, from)) return undefined;
  const target = new URL(location, from);
  return target.origin === new URL(from).origin ? target.href : undefined;
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

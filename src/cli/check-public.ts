import { connect } from "node:tls";
import { printable } from "../telemetry/printable.ts";
import type { CheckIo } from "./check.ts";

export interface PublicCheck {
  /** Of the MCP endpoint as clients are given it, or the base URL, which means `/mcp`. */
  readonly url: URL;
  /** Sent where a client with a credential would send them. */
  readonly headers: readonly (readonly [string, string])[];
  readonly json: boolean;
}

interface Finding {
  readonly result: "ok" | "FAIL" | "skip";
  readonly what: string;
  readonly why: string;
  readonly hint?: string | undefined;
}

/** What hosted clients and their libraries call themselves; services against bots look at that. */
const AGENTS = ["Claude-User", "python-httpx/0.28.1", "ChatGPT-User/1.0", "node", "Mozilla/5.0"];
const PATIENCE_MS = 15_000;
/** Longer than two keep-alives of this proxy, and than most reverse proxies let an idle answer stay. */
const STREAM_MS = 65_000;
const BEGINNING_MS = 5_000;
const MEGABYTE = 1_000_000;
const HELLO = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "mcp-proxy-check", version: "1" },
  },
});

/**
 * Walks what clients walk, from outside, and says where the way ends. It logs nobody in and calls no tool.
 * @param streamMs how long a stream is watched, in milliseconds
 * @returns the exit code: 0 all well, 1 something is in a client's way
 */
export async function checkPublic(options: PublicCheck, io: CheckIo, streamMs = STREAM_MS): Promise<number> {
  const findings: Finding[] = [];
  const tell = (finding: Finding): void => {
    findings.push(finding);
    if (!options.json) io.stdout(lineOf(finding));
  };
  const url = new URL(options.url);
  if (url.pathname === "/") url.pathname = "/mcp";
  const walk = new Walk(url, options.headers, io.fetch, tell);
  await walk.tls();
  const first = await walk.hello();
  if (first !== undefined) {
    await walk.metadata(first);
    await walk.agents(first.status);
    await walk.body(first.status);
    await walk.stream(streamMs);
  }
  const failed = findings.filter(({ result }) => result === "FAIL").length;
  if (options.json) io.stdout(`${JSON.stringify({ ok: failed === 0, url: url.href, findings })}\n`);
  else io.stdout(failed === 0 ? "nothing is in the way\n" : `${failed} of ${findings.length} failed\n`);
  return failed === 0 ? 0 : 1;
}

function lineOf({ result, what, why, hint }: Finding): string {
  const first = `  ${result.padEnd(5)} ${what.padEnd(34)}  ${printable(why)}\n`;
  return hint === undefined ? first : `${first}        ${printable(hint)}\n`;
}

class Walk {
  readonly #url: URL;
  readonly #credentials: Readonly<Record<string, string>>;
  readonly #fetch: CheckIo["fetch"];
  readonly #tell: (finding: Finding) => void;

  constructor(url: URL, headers: PublicCheck["headers"], fetch: CheckIo["fetch"], tell: (finding: Finding) => void) {
    this.#url = url;
    this.#credentials = Object.fromEntries(headers);
    this.#fetch = fetch;
    this.#tell = tell;
  }

  async tls(): Promise<void> {
    const { protocol, hostname, port } = this.#url;
    if (protocol !== "https:") return this.#skip("TLS", "the URL is not https, which hosted clients demand");
    const { promise, resolve } = Promise.withResolvers<Finding>();
    const fail = (why: string): void =>
      resolve({ result: "FAIL", what: "TLS", why, hint: "renew the certificate, with its whole chain, for this name" });
    const socket = connect({ host: hostname, port: Number(port || 443), servername: hostname }, () => {
      const left = Math.floor((Date.parse(socket.getPeerCertificate().valid_to) - Date.now()) / 86_400_000);
      resolve({ result: "ok", what: "TLS", why: `certificate of ${hostname}, ${left} days left` });
    });
    socket.setTimeout(PATIENCE_MS, () => fail("no answer"));
    socket.on("error", (error) => fail(error.message));
    this.#tell(await promise);
    socket.destroy();
  }

  /** As a client that knows nothing but the URL. @returns undefined where going on would show nothing more */
  async hello(): Promise<Response | undefined> {
    const what = this.#url.pathname;
    const response = await this.#post(HELLO);
    if (!(response instanceof Response)) {
      this.#fail(what, response, "see that the URL leads to the proxy");
      return undefined;
    }
    const asks = response.headers.get("www-authenticate") ?? "";
    const type = response.headers.get("content-type") ?? "";
    if (response.status === 200 && /json|event-stream/.test(type)) this.#ok(what, "answers without a login");
    else if (response.status === 401 && asks.includes("resource_metadata="))
      this.#ok(what, "401 with resource_metadata: clients begin a login");
    else if (response.status === 401)
      this.#ok(what, '401 without resource_metadata: clients need a token (-H Authorization "Bearer …")');
    else {
      const hint = response.status === 404 ? "see that the path is that of an MCP endpoint" : whose(response);
      this.#fail(what, `HTTP ${response.status} ${type.split(";")[0]}${by(response)}`, hint);
      return undefined;
    }
    return response;
  }

  /** The documents that lead a client from a 401 to the login (RFC 9728, RFC 8414). */
  async metadata(first: Response): Promise<void> {
    const location = /resource_metadata="([^"]+)"/.exec(first.headers.get("www-authenticate") ?? "")?.[1];
    if (location === undefined) return;
    const what = "protected resource metadata";
    const resource = await this.#document(location, what);
    if (resource === undefined) return;
    const right = resource["resource"] === this.#url.href.replace(/\/$/, "");
    if (right) this.#ok(what, `resource is exactly ${this.#url.href}`);
    else this.#fail(what, `resource is ${String(resource["resource"])}`, `set baseURL to ${this.#url.origin}`);
    const servers = resource["authorization_servers"];
    const issuer = Array.isArray(servers) ? String(servers[0]) : "";
    const name = "authorization server metadata";
    if (!URL.canParse(issuer)) return this.#fail(name, "no authorization server is named", undefined);
    const { origin, pathname } = new URL(issuer);
    const path = pathname === "/" ? "" : pathname;
    const server = await this.#document(`${origin}/.well-known/oauth-authorization-server${path}`, name);
    if (server === undefined) return;
    const methods = server["code_challenge_methods_supported"];
    const missing = [
      ...(server["issuer"] === issuer ? [] : ["issuer does not match"]),
      ...(Array.isArray(methods) && methods.includes("S256") ? [] : ["no S256"]),
      ...(server["registration_endpoint"] === undefined && server["client_id_metadata_document_supported"] !== true
        ? ["no registration"]
        : []),
    ];
    if (missing.length === 0) this.#ok(name, "issuer matches, S256, registration");
    else this.#fail(name, missing.join(", "), undefined);
  }

  async agents(expected: number): Promise<void> {
    for (const agent of AGENTS) {
      const what = `POST as "${agent}"`;
      const response = await this.#post(HELLO, { "User-Agent": agent });
      if (!(response instanceof Response)) this.#fail(what, response, undefined);
      else if (response.status === expected) this.#ok(what, `HTTP ${response.status}, as for everybody`);
      else this.#fail(what, `HTTP ${response.status}${by(response)} instead of ${expected}`, whose(response));
    }
  }

  async body(expected: number): Promise<void> {
    const what = "body of 1 MB";
    const response = await this.#post(HELLO.replace("mcp-proxy-check", "x".repeat(MEGABYTE)));
    const hint = "raise the limit of the reverse proxy (nginx: client_max_body_size)";
    if (!(response instanceof Response)) this.#fail(what, response, hint);
    else if (response.status === expected) this.#ok(what, "accepted");
    else this.#fail(what, `HTTP ${response.status}${by(response)}`, hint);
  }

  async stream(ms: number): Promise<void> {
    const what = `stream stays open ${Math.round(ms / 1_000)} s`;
    const hello = await this.#post(HELLO, this.#credentials);
    if (!(hello instanceof Response) || hello.status !== 200)
      return this.#skip(what, 'needs a credential that is let in: -H Authorization "Bearer …"');
    const session = hello.headers.get("mcp-session-id");
    if (session === null) return this.#skip(what, "the server has no sessions");
    const headers = { ...this.#credentials, "Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25" };
    const aborted = new AbortController();
    const timer = setTimeout(() => aborted.abort(), ms);
    const began = performance.now();
    let alive = false;
    try {
      const response = await this.#fetch(this.#url.href, {
        headers: { ...headers, Accept: "text/event-stream" },
        signal: aborted.signal,
      });
      if (response.status !== 200 || response.body === null)
        return this.#skip(what, `the server offers no stream (HTTP ${response.status})`);
      // What comes at once is the beginning of the stream, and no sign that it stays open.
      for await (const _ of response.body) alive ||= performance.now() - began > BEGINNING_MS;
      this.#fail(
        what,
        "it was closed early",
        "raise the read timeout of the reverse proxy, and switch its buffering off",
      );
    } catch (error) {
      if (!aborted.signal.aborted) this.#fail(what, reasonOf(error), "see what closes idle connections on the way");
      else if (alive) this.#ok(what, "and keep-alives arrive");
      else this.#fail(what, "but nothing arrived on it", "switch the buffering of the reverse proxy off");
    } finally {
      clearTimeout(timer);
      await this.#fetch(this.#url.href, { method: "DELETE", headers }).catch(() => undefined);
    }
  }

  async #document(location: string, what: string): Promise<Record<string, unknown> | undefined> {
    try {
      const response = await this.#fetch(location, { signal: AbortSignal.timeout(PATIENCE_MS), redirect: "error" });
      if (response.status === 200) return (await response.json()) as Record<string, unknown>;
      this.#fail(
        what,
        `HTTP ${response.status}${by(response)} at ${location}`,
        "let /.well-known/* through to the proxy",
      );
    } catch (error) {
      this.#fail(what, `${reasonOf(error)} at ${location}`, "let /.well-known/* through to the proxy");
    }
    return undefined;
  }

  /** @returns why there was no answer */
  async #post(body: string, headers: Readonly<Record<string, string>> = {}): Promise<Response | string> {
    try {
      const response = await this.#fetch(this.#url.href, {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "application/json, text/event-stream", ...headers },
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      await response.body?.cancel();
      return response;
    } catch (error) {
      return reasonOf(error);
    }
  }

  #ok(what: string, why: string): void {
    this.#tell({ result: "ok", what, why });
  }

  #skip(what: string, why: string): void {
    this.#tell({ result: "skip", what, why });
  }

  #fail(what: string, why: string, hint: string | undefined): void {
    this.#tell({ result: "FAIL", what, why, hint });
  }
}

function by(response: Response): string {
  const server = response.headers.get("server");
  return server === null ? "" : ` by ${server.slice(0, 40)}`;
}

/** What to do where something in front of the proxy answers in its place. */
function whose(response: Response): string {
  if (/cloudflare/i.test(response.headers.get("server") ?? ""))
    return 'Cloudflare stops it: allow it in AI Crawl Control and in "Block AI bots", for /.well-known/*, /oauth/* and */mcp';
  return "if the log of the proxy (--log-level debug) has no line of it, something in front of it answers";
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

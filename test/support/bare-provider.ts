import { exportJWK, generateKeyPair, SignJWT } from "jose";
import type { CryptoKey, JWK, JWTPayload } from "jose";
import type { Certificate } from "./certificate.ts";

/** The API that tokens are for. */
export const AUDIENCE = "https://your-mcp-api";

/** How it answers one of its paths; undefined: as it should. */
export type Misbehaviour = (request: Request) => Response | Promise<Response> | undefined;

/** A provider that a test has in its hand: it lies, is slow, or goes away as it is told. It has no pages. */
export class BareProvider implements AsyncDisposable {
  /** Paths that were asked, in order. */
  readonly asked: string[] = [];
  readonly keys: JWK[] = [];
  /** By path. */
  readonly odd = new Map<string, Misbehaviour>();
  /** What UserInfo says. */
  userInfo: Record<string, unknown> = {};
  readonly #signers = new Map<string, CryptoKey>();
  readonly #server: Bun.Server<undefined>;

  readonly #scheme: string;

  private constructor(certificate: Certificate | undefined) {
    this.#scheme = certificate === undefined ? "http" : "https";
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      ...(certificate === undefined ? {} : { tls: { cert: certificate.cert, key: certificate.key } }),
      fetch: (request) => {
        const { pathname } = new URL(request.url);
        this.asked.push(pathname);
        return this.odd.get(pathname)?.(request) ?? this.#answer(pathname);
      },
    });
  }

  /** @param certificate undefined: over http */
  static async start(certificate: Certificate | undefined): Promise<BareProvider> {
    const provider = new BareProvider(certificate);
    await provider.addKey("key-1");
    return provider;
  }

  get issuer(): string {
    return `${this.#scheme}://localhost:${this.#server.port}`;
  }

  get metadata(): Record<string, unknown> {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${this.issuer}/authorize`,
      token_endpoint: `${this.issuer}/token`,
      jwks_uri: `${this.issuer}/keys`,
      userinfo_endpoint: `${this.issuer}/userinfo`,
      id_token_signing_alg_values_supported: ["RS256", "HS256", "none"],
    };
  }

  times(path: string): number {
    return this.asked.filter((each) => each === path).length;
  }

  async addKey(kid: string, publish = true): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair("RS256", { extractable: true });
    this.#signers.set(kid, privateKey);
    if (publish) this.keys.push({ ...(await exportJWK(publicKey)), kid, use: "sig", alg: "RS256" });
  }

  /** @param more changes to claims and header; `kid` also chooses the key */
  async sign(claims: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
    const now = Math.floor(Date.now() / 1_000);
    const { kid = "key-1" } = header as { kid?: string };
    const key = this.#signers.get(kid);
    if (key === undefined) throw new Error(`no key ${kid}`);
    return await new SignJWT({ iss: this.issuer, aud: AUDIENCE, iat: now, exp: now + 600, ...claims })
      .setProtectedHeader({ alg: "RS256", kid, typ: "JWT", ...header })
      .sign(key);
  }

  #answer(path: string): Response {
    if (path === "/.well-known/openid-configuration") return Response.json(this.metadata);
    if (path === "/keys") return Response.json({ keys: this.keys });
    if (path === "/userinfo") return Response.json(this.userInfo);
    return new Response("nothing here", { status: 404 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true);
  }
}

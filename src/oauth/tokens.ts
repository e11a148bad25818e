import { randomBytes } from "node:crypto";
import { digest } from "./digest.ts";

export type TokenKind = "code" | "access" | "refresh";

const PREFIX: Readonly<Record<TokenKind, string>> = { code: "mcpc", access: "mcpa", refresh: "mcpr" };

/** A fresh token: it names its grant, so that it is found without an index, and carries 256 random bits. */
export function makeToken(kind: TokenKind, grant: string): { text: string; digest: string } {
  const text = `${PREFIX[kind]}.${grant}.${randomBytes(32).toString("base64url")}`;
  return { text, digest: digest(text) };
}

/** The grant a token belongs to if it is real. Those of the Go program say nothing; each has a grant named after it. */
export function grantIdOf(token: string, kind: TokenKind): string {
  const [prefix, grant, secret, ...more] = token.split(".");
  if (prefix === PREFIX[kind] && grant && secret && more.length === 0) return grant;
  return adoptedGrantId(token);
}

export function adoptedGrantId(token: string): string {
  return `adopted-${digest(token)}`;
}

export function makeGrantId(): string {
  return randomBytes(16).toString("hex");
}

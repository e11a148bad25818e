import type { UserConfig } from "../config/config.ts";

/** Whom an identity provider says somebody is. */
export interface Identity {
  /** Never reassigned, unique at the provider (OpenID Connect Core section 2, `sub`). */
  readonly subject: string;
  /** In lower case, and only where the provider vouches for it; anybody can claim another one. */
  readonly email: string | undefined;
}

/** Those who may come in, as they are now. */
export interface Members {
  /** Another number whenever somebody was added, changed or removed. */
  readonly version: number;
  /** Somebody by name or e-mail address, patterns included. */
  find(name: string): UserConfig | undefined;
  /** Everybody who is named one by one. */
  all(): Iterable<readonly [string, UserConfig]>;
}

const MAX_TEXT = 320;
const ADDRESS = /^[^\s@|"<>]+@[^\s@|"<>]+$/;

/**
 * Reads the claims of an ID token, an access token or a UserInfo answer.
 * @param vouchers claims of which one must be true for the address to count; providers name them differently
 * @returns undefined without a usable subject
 */
export function identityOf(
  claims: Readonly<Record<string, unknown>>,
  vouchers: readonly string[],
): Identity | undefined {
  const { sub, email } = claims;
  if (typeof sub !== "string" || sub === "" || sub.length > MAX_TEXT || hasControls(sub)) return undefined;
  const usable = typeof email === "string" && email.length <= MAX_TEXT && ADDRESS.test(email) && !hasControls(email);
  const vouched = vouchers.some((name) => isTrue(claims[name]));
  return { subject: sub, email: usable && vouched ? email.toLowerCase() : undefined };
}

/** Booleans come as texts and numbers too: `"true"` from some UserInfo endpoints, `"1"` from Entra. */
function isTrue(value: unknown): boolean {
  return value === true || value === "true" || value === 1 || value === "1";
}

function hasControls(text: string): boolean {
  return /[\p{Cc}\p{Cf}]/u.test(text);
}

/**
 * The user that somebody is here: by a verified e-mail address (as a name, as the `email` of a user, by a pattern), else
 * by the subject. A subject never fits a pattern and is never read as an address: at some providers people choose their
 * own, and `boss@example.com` would be anybody's.
 * @returns the name the user's rights are kept under; undefined for somebody who may not come in
 */
export function memberOf(identity: Identity, members: Members): string | undefined {
  const { email, subject } = identity;
  if (email !== undefined) {
    for (const [name, user] of members.all()) {
      if (name.toLowerCase() === email || user.email?.toLowerCase() === email) return name;
    }
    if (!email.includes("*") && members.find(email) !== undefined) return email;
  }
  if (ADDRESS.test(subject)) return undefined;
  for (const [name] of members.all()) if (name === subject) return name;
  return undefined;
}

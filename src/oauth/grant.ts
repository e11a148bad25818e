/**
 * One consent of one user for one client, with every token that came of it: the family. It is one record, so every
 * change of it is one write, and ending it ends all. Pure: what may happen to it when, no store and no clock.
 */
export interface Grant {
  readonly id: string;
  readonly client: string;
  /** Undefined for tokens of the Go program, which did not say whose they are. */
  readonly user: string | undefined;
  /** Of the user's password when it was given; another one ends the grant. */
  readonly passwordMark: string | undefined;
  /** What the identity provider said at the login, sealed; undefined for a login with a password. */
  provided?: string | undefined;
  readonly scopes: readonly string[];
  /** Undefined: the whole proxy. */
  readonly audience: string | undefined;
  readonly made: number;
  code: PendingCode | undefined;
  /** Pairs of tokens, oldest first. */
  pairs: TokenPair[];
  /** Digests of refresh tokens that were used up and left `pairs`; their reuse is still noticed. */
  retired: string[];
  /** When one of its tokens was last used; as exact after a restart as the last change of the grant. */
  used?: number;
}

export interface PendingCode {
  readonly digest: string;
  readonly expires: number;
  readonly redirectUri: string;
  /** Whether the request named it; then the token request must too (RFC 6749 section 4.1.3). */
  readonly redirectGiven: boolean;
  readonly challenge: string;
  /** When it was answered; undefined until it was used. */
  redeemed: number | undefined;
}

export interface TokenPair {
  readonly id: number;
  /** The pair whose refresh token made this one. */
  readonly parent: number | undefined;
  readonly access: string;
  readonly accessExpires: number;
  readonly refresh: string | undefined;
  readonly refreshExpires: number;
  readonly scopes: readonly string[];
  readonly audience: string | undefined;
  /** One of its tokens was used: its receiver has it. */
  seen: boolean;
  /** When its refresh token was first used. */
  refreshed: number | undefined;
  children: number;
}

/** After its first use, a refresh token is good for so long again: clients refresh in parallel, and lose answers. */
const AGAIN_MS = 60_000;
const MAX_SIBLINGS = 8;
/** Used up pairs that are kept whole. */
const MAX_PAIRS = 64;
/** Pairs in all. A client that refreshes twice at a time leaves one behind each time, which nobody ever uses. */
const MAX_ALL = 256;
const MAX_RETIRED = 1_000;
/** A second try of a code so shortly after the first one's answer is a client that sent it twice. */
const TWICE_MS = 1_000;

/** What using a code means now. `lost`: somebody else has it. `replayed`: it is stolen, the family must end. */
export type CodeUse = "good" | "lost" | "replayed" | "expired";

export function codeUse(code: PendingCode, now: number): CodeUse {
  if (code.redeemed !== undefined) return now - code.redeemed <= TWICE_MS ? "lost" : "replayed";
  return now < code.expires ? "good" : "expired";
}

/** What using a refresh token means now. `full`: only refused. `reused`: the family must end. */
export type RefreshUse = "good" | "full" | "expired" | "reused";

export function refreshUse(grant: Grant, pair: TokenPair, now: number): RefreshUse {
  if (now >= pair.refreshExpires) return "expired";
  if (pair.refreshed === undefined) return "good";
  const successorUsed = grant.pairs.some((each) => each.parent === pair.id && each.seen);
  if (now - pair.refreshed > AGAIN_MS && successorUsed) return "reused";
  return pair.children < MAX_SIBLINGS ? "good" : "full";
}

/** When nothing of it is good for anything any more. */
export function expiryOf(grant: Grant): number {
  const pending = grant.code !== undefined && grant.code.redeemed === undefined ? [grant.code.expires] : [];
  const ends = grant.pairs.map((pair) =>
    Math.max(pair.accessExpires, pair.refreshed === undefined || lastChance(grant, pair) ? pair.refreshExpires : 0),
  );
  return Math.max(0, ...pending, ...ends);
}

function lastChance(grant: Grant, pair: TokenPair): boolean {
  return !grant.pairs.some((each) => each.parent === pair.id && each.seen);
}

/** Drops what can do nothing any more, and the oldest of too many. */
export function prune(grant: Grant, now: number): void {
  const spent = (pair: TokenPair): boolean => {
    if (now < pair.accessExpires) return false;
    if (now >= pair.refreshExpires) return true;
    return pair.refreshed !== undefined && now - pair.refreshed > AGAIN_MS && !lastChance(grant, pair);
  };
  let surplus = grant.pairs.length - MAX_PAIRS;
  const gone = new Set<TokenPair>();
  const kept = new Set<number>();
  for (const [index, pair] of grant.pairs.entries()) {
    // That a successor was used is known by that successor: gone before its parent, the parent would be good again.
    const witness = pair.parent !== undefined && kept.has(pair.parent);
    if (index < grant.pairs.length - MAX_ALL) gone.add(pair);
    else if (!witness && (spent(pair) || (pair.refreshed !== undefined && surplus-- > 0))) gone.add(pair);
    else kept.add(pair.id);
  }
  if (gone.size === 0) return;
  grant.pairs = grant.pairs.filter((pair) => !gone.has(pair));
  for (const { refresh, refreshed } of gone)
    if (refresh !== undefined && refreshed !== undefined) grant.retired.push(refresh);
  grant.retired = grant.retired.slice(-MAX_RETIRED);
}

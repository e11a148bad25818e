import { createHash, timingSafeEqual } from "node:crypto";

/** What is stored instead of a secret with at least 128 random bits, for which one round of SHA-256 is enough. */
export function digest(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}

/** Whether two texts are equal, in a time that tells nothing of where they differ. */
export function sameText(one: string, other: string): boolean {
  return timingSafeEqual(createHash("sha256").update(one).digest(), createHash("sha256").update(other).digest());
}

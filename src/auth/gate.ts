import type { Principal } from "../policy/principal.ts";

/**
 * Why a caller is not let in: no credential, one that is not (or no longer) good here, or a good one that was not given
 * for this (RFC 6750 section 3.1).
 */
export type Refusal = "missing" | "invalid" | "insufficient";

/** What stands in front of an endpoint and knows who calls. */
export interface Gate {
  /** Anybody may come in. */
  readonly open: boolean;
  /** Callers without a credential are told where to log in. */
  readonly login: boolean;
  /** Whether somebody who was let in earlier still would be. */
  knows(principal: Principal): boolean;
  /**
   * @param header the `Authorization` header
   * @param audience what an access token has to be for, where that is not this endpoint itself
   */
  check(header: string | null, audience?: string): Principal | Refusal;
  /**
   * Looks into a credential whose check takes time, so that `check` knows it afterwards.
   * @returns undefined where nothing needs to be waited for
   */
  learn?(header: string | null): Promise<void> | undefined;
}

import type { Limits } from "../config/config.ts";
import type { Rights } from "./rights.ts";

/** Who is calling. `id` is what sessions, connections and limits are bound to; it never contains a credential. */
export interface Principal {
  readonly kind: "anonymous" | "token" | "key" | "user";
  readonly id: string;
  /** Name of the user who logged in, for `user`. */
  readonly user?: string | undefined;
  /** The OAuth client of a user, or the name that goes with an API key. */
  readonly client?: string | undefined;
  /** What this caller may use, as it is now; undefined: whatever the endpoint has. */
  readonly rights?: Rights | undefined;
  /** What this user may ask for, instead of what everybody may; looked up as it is now. */
  readonly limits?: (() => Limits | undefined) | undefined;
}

export const ANONYMOUS: Principal = Object.freeze({ kind: "anonymous", id: "anonymous" });

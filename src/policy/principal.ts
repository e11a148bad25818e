/** Who is calling. `id` is what sessions, connections and limits are bound to; it never contains a credential. */
export interface Principal {
  readonly kind: "anonymous" | "token" | "user";
  readonly id: string;
  /** Name of the user who logged in, for `user`. */
  readonly user?: string | undefined;
}

export const ANONYMOUS: Principal = Object.freeze({ kind: "anonymous", id: "anonymous" });

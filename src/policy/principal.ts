/** Who is calling. `id` is what sessions, connections and limits are bound to; it never contains a credential. */
export interface Principal {
  readonly kind: "anonymous" | "token";
  readonly id: string;
}

export const ANONYMOUS: Principal = Object.freeze({ kind: "anonymous", id: "anonymous" });

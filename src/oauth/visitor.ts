/** Who is at the other end of a page. */
export interface Visitor {
  readonly address: string;
  /** On this machine, with nothing in between: most likely the owner. */
  readonly direct: boolean;
}

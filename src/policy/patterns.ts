/** A pattern `server:tool`, in which `*` stands for any text; `*` alone is everything. */
export interface ToolPattern {
  readonly text: string;
  /** Texts before and behind the colon for a server whose name holds so many colons; undefined where there are fewer. */
  split(colons: number): readonly [server: string, tool: string] | undefined;
}

export function readPattern(text: string): ToolPattern {
  return {
    text,
    split(colons) {
      if (text === "*") return ["*", "*"];
      // A name may hold colons itself: the one that ends it is found by counting, never by guessing.
      let at = -1;
      for (let n = 0; n <= colons; n++) {
        at = text.indexOf(":", at + 1);
        if (at === -1) return undefined;
      }
      return [text.slice(0, at), text.slice(at + 1)];
    },
  };
}

export function colonsIn(name: string): number {
  return name.split(":").length - 1;
}

/** Whether a text fits a pattern in which `*` stands for any text, also none. Linear in both but for the stars. */
export function fits(pattern: string, text: string): boolean {
  let star = -1;
  let from = 0;
  let p = 0;
  let t = 0;
  while (t < text.length) {
    if (pattern[p] === "*") {
      star = p++;
      from = t;
    } else if (p < pattern.length && pattern[p] === text[t]) {
      p++;
      t++;
    } else if (star === -1) return false;
    else {
      p = star + 1;
      t = ++from;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

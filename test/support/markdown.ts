import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./tree.ts";

/** A fenced block of a page. */
export interface Block {
  /** `docs/x.md:12`. */
  readonly place: string;
  readonly language: string;
  readonly code: string;
}

/** Every fenced block of a page of the project, in order. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/^```(\w+)\n([^]*?)^```$/gm)].map((match) => ({
    place: `${page}:${text.slice(0, match.index).split("\n").length}`,
    language: match[1] ?? "",
    code: match[2] ?? "",
  }));
}

/** The command lines of `sh` blocks, continued ones joined. */
export function commandsOf(page: string): { place: string; line: string }[] {
  return blocksOf(page)
    .filter(({ language }) => language === "sh")
    .flatMap(({ place, code }) =>
      code
        .replaceAll(/\\\n\s*/g, " ")
        .trim()
        .split("\n")
        .map((line) => ({ place, line })),
    );
}

/** Links within the project, without what follows `#`. */
export function linksOf(page: string): string[] {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? "");
}

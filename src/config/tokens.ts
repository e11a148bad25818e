import { isPlaceholder } from "./placeholders.ts";
import type { Path, Problems } from "./problem.ts";

/** Placeholders are tolerated only where nobody else could try them. */
export interface TokenRule {
  readonly refusePlaceholders: boolean;
  readonly problems: Problems;
}

/**
 * The tokens of one list.
 * @returns undefined where the list is absent or empty on purpose (open); an empty list lets nobody in
 */
export function readTokens(list: readonly string[] | undefined, path: Path, rule: TokenRule): string[] | undefined {
  if (list === undefined || list.length === 0) return undefined;
  const tokens: string[] = [];
  list.forEach((entry, index) => {
    // People copy the header as well as the token; clients may send either form.
    const token = entry.trim().replace(/^Bearer\s+/i, "");
    if (isPlaceholder(token) && rule.refusePlaceholders) {
      rule.problems.warning(
        [...path, index],
        "this token is printed in a manual, so everybody knows it: it is ignored",
        {
          code: "config.placeholder",
          hint: "replace it by a random one, for instance from: openssl rand -hex 32",
        },
      );
    } else tokens.push(token);
  });
  return tokens;
}

import type { ToolFilter } from "./config.ts";
import type { Path, Problems } from "./problem.ts";
import type { OptionsFile } from "./schema-options.ts";

/** A filter counts only with a mode; a list without one filters nothing, as the Go program documents. */
export function readToolFilter(
  filter: OptionsFile["toolFilter"],
  path: Path,
  problems: Problems,
): ToolFilter | undefined {
  if (filter === undefined) return undefined;
  const list = filter.list ?? [];
  if (list.length === 0) return undefined;
  const mode = filter.mode?.trim().toLowerCase();
  if (mode === "allow" || mode === "block") return { mode, names: new Set(list) };
  const where = mode === undefined ? path : [...path, "mode"];
  const what = mode === undefined ? "this filter has no mode" : "this mode is unknown";
  problems.warning(where, `${what}, so the filter is IGNORED and every tool stays available`, {
    hint: 'set "mode" to "allow" or "block"',
  });
  return undefined;
}

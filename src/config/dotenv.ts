/** The variables of a `.env` text: `KEY=value`, `export`, quotes, comments. What is no assignment is passed over. */
export function parseDotenv(text: string): Record<string, string> {
  const entries: [string, string][] = [];
  const assignment =
    /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*(?:'([^']*)'|"((?:\\[^]|[^"\\])*)"|([^\r\n]*))/gm;
  for (const [, name, single, double, bare] of text.replace(/^\ufeff/, "").matchAll(assignment)) {
    if (name === undefined) continue;
    if (single !== undefined) entries.push([name, single]);
    else if (double !== undefined)
      entries.push([name, double.replace(/\\([nrt"\\$])/g, (_, letter: string) => ESCAPES[letter] ?? letter)]);
    else entries.push([name, (bare ?? "").replace(/(^|[ \t]+)#.*$/, "").trim()]);
  }
  return Object.fromEntries(entries);
}

const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t" };

/**
 * Pages ejected by the Go program are in Go's template syntax. The small part of it that these pages use is put into
 * Handlebars' words; lines stay where they are, so that messages name the right one.
 * @throws Error for what has no counterpart, with the line
 */
export function fromGoTemplate(source: string): string {
  if (!/\{\{-?\s*(?:\.|if\b|range\b|with\b|end\b|\/\*)/.test(source)) return source;
  const open: string[] = [];
  const translated = source.replaceAll(
    /\{\{(-?)\s*([^]*?)\s*(-?)\}\}/g,
    (whole, before: string, inside: string, after: string, at: number) => {
      const line = (): number => source.slice(0, at).split("\n").length;
      const put = (text: string): string => `{{${before === "" ? "" : "~"}${text}${after === "" ? "" : "~"}}}`;
      const block = /^(if|range|with)\s+(not\s+)?\.([A-Za-z]\w*)?$/.exec(inside);
      if (block !== null) {
        const [, word = "", negated, name = "this"] = block;
        const helper = negated !== undefined ? "unless" : word === "range" ? "each" : word;
        open.push(helper);
        return put(`#${helper} ${name}`);
      }
      if (inside === "end") {
        const helper = open.pop();
        if (helper === undefined) throw new Error(`line ${line()}: {{end}} without a beginning`);
        return put(`/${helper}`);
      }
      const otherwise = /^else(?:\s+if\s+(?:\.([A-Za-z]\w*)))?$/.exec(inside);
      if (otherwise !== null) return put(otherwise[1] === undefined ? "else" : `else if ${otherwise[1]}`);
      if (inside === ".") return put("this");
      const value = /^\.([A-Za-z]\w*)$/.exec(inside);
      if (value !== null) return put(value[1] ?? "");
      if (/^\/\*[^]*\*\/$/.test(inside)) return put(`!-- ${inside.slice(2, -2).replaceAll("--", "")} --`);
      // Handlebars of its own, in a page that is otherwise in Go's syntax.
      if (/^[#/^!]|^[A-Za-z]\w*$/.test(inside)) return whole;
      throw new Error(
        `line ${line()}: ${whole} is Go template syntax that is not understood here; write {{Name}}, {{#if Name}}…{{/if}}`,
      );
    },
  );
  if (open.length > 0) throw new Error(`line ${source.split("\n").length}: {{end}} is missing`);
  return translated;
}

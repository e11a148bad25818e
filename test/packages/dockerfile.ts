/** Reads a Dockerfile as far as ours goes, so that its steps can be carried out where there is no Docker. */

export interface Instruction {
  readonly name: string;
  readonly text: string;
  readonly line: number;
}

export interface Stage {
  readonly image: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** @throws Error for an instruction that the file may not hold as far as this reader knows */
export function readDockerfile(text: string): { readonly args: Record<string, string>; readonly stages: Stage[] } {
  const args: Record<string, string> = {};
  const stages: { image: string; name: string | undefined; instructions: Instruction[] }[] = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    let whole = lines[at] ?? "";
    if (whole.trim() === "" || whole.startsWith("#")) continue;
    while (whole.endsWith("\\")) whole = whole.slice(0, -1) + (lines[++at] ?? "").trimStart();
    const [, name = "", rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(whole) ?? [];
    if (name === "FROM") {
      const [, image = "", stage] = /^(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?$/.exec(rest) ?? [];
      stages.push({ image: substitute(image, args), name: stage, instructions: [] });
    } else if (name === "ARG" && stages.length === 0) {
      const [key = "", value = ""] = rest.split("=");
      args[key] = value;
    } else if (KNOWN.has(name)) stages.at(-1)?.instructions.push({ name, text: rest, line });
    else throw new Error(`Dockerfile:${line}: ${whole}`);
  }
  return { args, stages };
}

const KNOWN = new Set("RUN COPY ENV ARG WORKDIR USER VOLUME EXPOSE HEALTHCHECK ENTRYPOINT".split(" "));

/** Puts variables in, as Docker does outside of RUN. */
export function substitute(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{(\w+)\}|\$(\w+)/g, (_, long: string, short: string) => variables[long ?? short] ?? "");
}

/** `KEY=value` pairs of ENV. */
export function pairsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split(/\s+/).map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
}

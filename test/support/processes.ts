import { readFileSync, readdirSync } from "node:fs";

export interface ProcessFacts {
  readonly pid: number;
  readonly group: number;
  /** One letter as `ps` shows it; `Z` runs no more. */
  readonly state: string;
  readonly command: string;
}

/** Every process of this machine, from `/proc` where there is one: small systems have no `ps`. */
export function processes(): ProcessFacts[] {
  if (process.platform !== "linux") return fromPs();
  const found: ProcessFacts[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // The name in brackets may hold anything; the rest follows its last bracket.
      const [state = "", , group] = readFileSync(`/proc/${name}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? [];
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      found.push({ pid: Number(name), group: Number(group), state, command });
    } catch {
      // It ended meanwhile.
    }
  }
  return found;
}

function fromPs(): ProcessFacts[] {
  const { stdout } = Bun.spawnSync(["ps", "-axo", "pid=,pgid=,stat=,args="]);
  return stdout
    .toString()
    .split("\n")
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S)\S*\s+(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, pid, group, state = "", command = ""]) => ({ pid: Number(pid), group: Number(group), state, command }));
}

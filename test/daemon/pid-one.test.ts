import { expect } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "../http/client.ts";
import { childrenOf } from "../faults/footprint.ts";
import { Ledger } from "../faults/ledger.ts";
import { program, testWith } from "../support/programs.ts";
import { until } from "../upstream/processes.ts";
import { Launched, Place } from "./launch.ts";

const ORPHANS = 30;

function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    // It is gone: no zombie.
    return false;
  }
}

/** Whether this user may make process namespaces; where not, the name of the test says so. */
const able =
  process.platform === "linux" &&
  Bun.which("unshare") !== null &&
  Bun.spawnSync(["unshare", "--pid", "--fork", "--mount-proc", "true"]).exitCode === 0;

testWith(
  able ? program("unshare") : { name: "unshare with the right to make namespaces", path: undefined },
  "as process 1 of a container it reaps the orphans of its servers, and SIGTERM ends it with 0",
  async (unshare) => {
    using place = new Place();
    const ledger = new Ledger(place.file("ledger"));
    const fixture = join(import.meta.dir, "../fixtures/fault-orphans.ts");
    place.write({ it: { command: process.execPath, args: [fixture], env: { FAULT_LEDGER: ledger.file } } });
    await using outer = await Launched.up(place, { before: [unshare, "--pid", "--fork", "--mount-proc"] });
    const [inside] = childrenOf(outer.process.pid);
    if (inside === undefined) throw new Error("nothing runs in the namespace");
    // `unshare` itself takes no SIGTERM: when a test fails, this ends all that is in it.
    using _ = { [Symbol.dispose]: () => void (existsSync(`/proc/${inside}`) && process.kill(inside, "SIGKILL")) };
    expect(readFileSync(`/proc/${inside}/status`, "utf8")).toMatch(/^NSpid:\s+\d+\s+1$/m);
    const client = await connect(`${outer.url}/it/mcp`);
    for (let n = 0; n < ORPHANS; n++) expect(await client.call("orphan")).toBe("left one");
    await until("the orphans have ended", () => ledger.count("over") === ORPHANS);
    // Two looks of the proxy, five seconds apart.
    await until("none is left as a zombie", () => !childrenOf(inside).some(isZombie), 15_000);
    const all = childrenOf(inside);
    process.kill(inside, "SIGTERM");
    expect(await outer.process.exited).toBe(0);
    await until("all of the container are gone", () => all.every((pid) => !existsSync(`/proc/${pid}`)));
  },
  60_000,
);
